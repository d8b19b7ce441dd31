"""`python -m onetime` is the command `onetime`."""

from onetime.cli.main import main

if __name__ == "__main__":
    main()
