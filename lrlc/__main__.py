"""`python -m lrlc`: the command line."""

from lrlc.harness.cli.app import main

if __name__ == "__main__":
    main()
