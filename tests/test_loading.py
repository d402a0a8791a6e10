"""A checkpoint that cannot be trained gets one clear sentence: what we got, what is allowed, what to do."""

from __future__ import annotations

import json
import shutil

import pytest
import transformers
from safetensors.torch import load_file, save_file

from saccade.policy.families import UnsupportedModel
from saccade.policy.transformers_policy import TransformersPolicy
from saccade.policy.spec import LoRA, ModelSpec, Optimization
from tests import tiny_models


@pytest.fixture()
def broken(checkpoint, tmp_path):
    """A copy of a good checkpoint, to be broken."""
    return shutil.copytree(checkpoint("Qwen2.5-VL"), tmp_path / "model")


def refusal(path, **spec) -> str:
    """The sentence with which a checkpoint is refused."""
    with pytest.raises(UnsupportedModel) as caught:
        TransformersPolicy.load(ModelSpec(path=str(path), **spec))
    message = str(caught.value)
    assert "\n" not in message and 20 < len(message) < 600, message
    return message


def config_folder(tmp_path, config) -> str:
    config.save_pretrained(tmp_path / "other")
    return str(tmp_path / "other")


@pytest.mark.parametrize("name", ["Llama", "Bert", "Qwen2"])
def test_a_model_without_vision(name, tmp_path):
    folder = config_folder(tmp_path, getattr(transformers, f"{name}Config")())
    message = refusal(folder)
    assert f"'{name.lower()}' is not a vision-language model" in message
    assert all(family in message for family in tiny_models.MAKERS)


@pytest.mark.parametrize("name", ["Gemma3", "Pix2Struct", "Llava", "Qwen3VLMoe"])
def test_an_unknown_vision_language_family(name, tmp_path):
    config = getattr(transformers, f"{name}Config")()
    message = refusal(config_folder(tmp_path, config))
    assert f"{config.model_type!r} is not known to Saccade" in message and "families.py" in message
    assert all(family in message for family in tiny_models.MAKERS)


def test_a_missing_folder(tmp_path):
    message = refusal(tmp_path / "nowhere")
    assert f"there is no model folder {tmp_path / 'nowhere'}" in message and "Qwen/" in message


def test_a_relative_folder_that_is_missing():
    assert "no model folder ./nowhere" in refusal("./nowhere")


def test_a_name_that_is_no_repository(monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    for name in ("runs/my_run/best/model", "nobody/such-a-model-does-not-exist"):
        message = refusal(name)
        assert repr(name) in message and "neither a folder here nor" in message


def test_a_folder_without_config(tmp_path):
    message = refusal(tmp_path)
    assert f"the folder {tmp_path} is not a Hugging Face checkpoint" in message and "config.json" in message


@pytest.mark.parametrize("text", ["", "{not json", '{"model_type": "qwen2_5_vl"', "[]", "{}", '{"model_type": "no_such_type"}', '{"model_type": 3}'])
def test_a_torn_config(text, broken):
    (broken / "config.json").write_text(text)
    assert f"the folder {broken} is not a Hugging Face checkpoint" in refusal(broken)


def test_a_config_whose_values_make_no_sense(broken):
    config = json.loads((broken / "config.json").read_text())
    config["text_config"]["hidden_size"] = "many"
    (broken / "config.json").write_text(json.dumps(config))
    assert str(broken) in refusal(broken)


def test_weights_that_are_missing_or_torn(broken):
    weights = broken / "model.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(whole[: len(whole) // 2])
    assert f"the Qwen2.5-VL checkpoint {broken} cannot be loaded" in refusal(broken)
    weights.unlink()
    assert f"the Qwen2.5-VL checkpoint {broken} cannot be loaded" in refusal(broken)


def test_weights_of_another_size(broken):
    config = json.loads((broken / "config.json").read_text())
    config["text_config"]["intermediate_size"] += 8
    (broken / "config.json").write_text(json.dumps(config))
    message = refusal(broken)
    assert f"the Qwen2.5-VL checkpoint {broken} lacks 6 of its weights" in message and "mlp.down_proj" in message


def test_weights_of_which_one_is_absent(broken):
    weights = load_file(broken / "model.safetensors")
    del weights["model.visual.merger.mlp.0.weight" if "model.visual.merger.mlp.0.weight" in weights else "visual.merger.mlp.0.weight"]
    save_file(weights, broken / "model.safetensors", metadata={"format": "pt"})
    message = refusal(broken)
    assert "lacks 1 of its weights" in message and "merger.mlp.0.weight" in message


def test_a_checkpoint_without_its_processor(broken):
    for name in ("processor_config.json", "preprocessor_config.json", "tokenizer.json", "tokenizer_config.json"):
        (broken / name).unlink(missing_ok=True)
    assert str(broken) in refusal(broken)


def test_an_adapter_folder(checkpoint, tmp_path):
    policy = TransformersPolicy.load(ModelSpec(path=str(checkpoint("Qwen2.5-VL")), lora=LoRA(rank=2)))
    policy.save(tmp_path / "adapter")
    message = refusal(tmp_path / "adapter")
    assert "is an adapter" in message and "saccade export" in message


def test_sliding_windows(broken):
    config = json.loads((broken / "config.json").read_text())
    config["text_config"] |= {"layer_types": ["sliding_attention", "full_attention"], "sliding_window": 8, "use_sliding_window": True}
    (broken / "config.json").write_text(json.dumps(config))
    assert "sliding-window" in refusal(broken)


def test_pixel_bounds_where_there_are_none(checkpoint):
    message = refusal(checkpoint("SmolVLM"), max_pixels=100_000)
    assert message == "SmolVLM cuts pictures into tiles and has no min_pixels and max_pixels; take them out, --set model.max_pixels=None"
    assert refusal(checkpoint("InternVL"), min_pixels=784, max_pixels=100_000).endswith("--set model.min_pixels=None --set model.max_pixels=None")


def test_code_from_a_checkpoint_is_not_run(broken):
    config = json.loads((broken / "config.json").read_text())
    config["model_type"] = "internvl_chat"
    config["auto_map"] = {"AutoConfig": "configuration_internvl_chat.InternVLChatConfig"}
    (broken / "config.json").write_text(json.dumps(config))
    (broken / "configuration_internvl_chat.py").write_text("raise SystemExit('the checkpoint ran its own code')")
    assert str(broken) in refusal(broken)


def test_everything_frozen(checkpoint):
    policy = TransformersPolicy.load(ModelSpec(path=str(checkpoint("SmolVLM")), freeze=("vision", "connector", "language")))
    with pytest.raises(ValueError, match=r"nothing is left to train: every part is frozen \(vision, connector, language\)"):
        policy.start_optimizer(Optimization(lr=1e-3))


def test_lora_on_a_frozen_part():
    with pytest.raises(ValueError, match="vision"):
        ModelSpec(lora=LoRA(parts=("vision", "language")), freeze=("vision",))
