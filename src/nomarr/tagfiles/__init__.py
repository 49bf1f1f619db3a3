"""Words go into files, safely: the only room that knows mutagen."""
