"""Run the command line from a checkout: ``python cli.py --help``. Installed, it is the command ``tlclassic``."""

from tlclassic.app import main

if __name__ == "__main__":
    main()
