"""`python -m lenssim` is the command `lenssim`."""

from lenssim.cli.main import main

if __name__ == "__main__":  # workers that import this module must not run it
    main()
