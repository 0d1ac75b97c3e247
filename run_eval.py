"""The front door: `python run_eval.py` runs the quickstart; `python run_eval.py --help` lists the verbs."""

from harness.cli import main

if __name__ == "__main__":
    main()
