"""How long things take: measured, never a part of a score."""
