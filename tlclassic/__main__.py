"""``python -m tlclassic`` is the command ``tlclassic``."""

from tlclassic.app import main

if __name__ == "__main__":
    main()
