"""`python -m zoo`."""

from zoo.run import main

if __name__ == "__main__":
    main()
