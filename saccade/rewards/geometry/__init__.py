"""Boxes, detections, masks and paths against their gold."""
