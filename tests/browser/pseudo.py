"""The server with one language more, mirrored and 40 % longer: `python -m tests.browser.pseudo serve`, `?lang=qps`."""

from onetime import i18n
from onetime.cli.main import main

i18n.enable_pseudo()

if __name__ == "__main__":
    main()
