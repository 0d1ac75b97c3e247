"""Tests of the store share `store_data.py` by import."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
