"""Run the command as a module: ``python -m nautilus_enhanced.cli``."""

from nautilus_enhanced.cli import main


if __name__ == "__main__":
    main()
