"""Vision-R1 (Griffon); the recipe follows."""
