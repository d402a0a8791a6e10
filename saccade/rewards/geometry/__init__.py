"""Boxes, detections, masks and paths against their gold.

    boxes.py       overlap of every pair (IoU, GIoU), and points inside
    objects.py     gold boxes as samples hold them; what was read, brought into their frame
    matching.py    which prediction answers which gold object; precision, recall, F1
    precision.py   average precision of one row of detections
    sample_map.py  COCO mAP of one answer: a reward's use of it
    coco.py        COCO metrics over a whole data set
    nms.py         non-maximum suppression, and so NMS-AP
    masks.py       overlap of masks, pixel AUC, the box around a mask
    coco_masks.py  polygons and masks in COCO's formats
    paths.py       how well a flight ended: SR, OSR, SPL, NE
"""
