from nomarr.scores import Moods
def moods_of(packs, calibrations): return Moods()
