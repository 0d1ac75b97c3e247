"""Text models that see pictures through features: the patches of a vision tower, projected into the text model."""
