"""python -m nomarr"""

from nomarr.cli import main

main()
