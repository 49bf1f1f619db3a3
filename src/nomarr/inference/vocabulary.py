"""What the outputs of the known models mean: one table a model, in the model's own column order.

A head's name starts with its group; the plain words are what a person reads. Sources: musicnn/configuration.py of
musicnn 0.1.0 (labels of the Million Song Dataset and MagnaTagATune models), vibenet 0.1.0.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Output:
    """One output column: the model's own label, the head's name under our namespace, its plain words."""

    label: str
    head: str
    words: str


MSD = (
    Output("rock", "genre_rock", "Rock"),
    Output("pop", "genre_pop", "Pop"),
    Output("alternative", "genre_alternative", "Alternative"),
    Output("indie", "genre_indie", "Indie"),
    Output("electronic", "genre_electronic", "Electronic"),
    Output("female vocalists", "voice_female", "Female voice"),
    Output("dance", "genre_dance", "Dance"),
    Output("00s", "era_00s", "2000s"),
    Output("alternative rock", "genre_alternative_rock", "Alternative rock"),
    Output("jazz", "genre_jazz", "Jazz"),
    Output("beautiful", "mood_beautiful", "Beautiful"),
    Output("metal", "genre_metal", "Metal"),
    Output("chillout", "mood_chillout", "Chill-out"),
    Output("male vocalists", "voice_male", "Male voice"),
    Output("classic rock", "genre_classic_rock", "Classic rock"),
    Output("soul", "genre_soul", "Soul"),
    Output("indie rock", "genre_indie_rock", "Indie rock"),
    Output("Mellow", "mood_mellow", "Mellow"),
    Output("electronica", "genre_electronica", "Electronica"),
    Output("80s", "era_80s", "1980s"),
    Output("folk", "genre_folk", "Folk"),
    Output("90s", "era_90s", "1990s"),
    Output("chill", "mood_chill", "Chill"),
    Output("instrumental", "voice_none", "Instrumental"),
    Output("punk", "genre_punk", "Punk"),
    Output("oldies", "era_oldies", "Oldies"),
    Output("blues", "genre_blues", "Blues"),
    Output("hard rock", "genre_hard_rock", "Hard rock"),
    Output("ambient", "genre_ambient", "Ambient"),
    Output("acoustic", "mood_acoustic", "Acoustic"),
    Output("experimental", "genre_experimental", "Experimental"),
    Output("female vocalist", "voice_female_vocalist", "Female vocalist"),
    Output("guitar", "instrument_guitar", "Guitar"),
    Output("Hip-Hop", "genre_hip_hop", "Hip-hop"),
    Output("70s", "era_70s", "1970s"),
    Output("party", "mood_party", "Party"),
    Output("country", "genre_country", "Country"),
    Output("easy listening", "genre_easy_listening", "Easy listening"),
    Output("sexy", "mood_sexy", "Sexy"),
    Output("catchy", "mood_catchy", "Catchy"),
    Output("funk", "genre_funk", "Funk"),
    Output("electro", "genre_electro", "Electro"),
    Output("heavy metal", "genre_heavy_metal", "Heavy metal"),
    Output("Progressive rock", "genre_progressive_rock", "Progressive rock"),
    Output("60s", "era_60s", "1960s"),
    Output("rnb", "genre_rnb", "R&B"),
    Output("indie pop", "genre_indie_pop", "Indie pop"),
    Output("sad", "mood_sad", "Sad"),
    Output("House", "genre_house", "House"),
    Output("happy", "mood_happy", "Happy"),
)

MTT = (
    Output("guitar", "instrument_guitar", "Guitar"),
    Output("classical", "genre_classical", "Classical"),
    Output("slow", "tempo_slow", "Slow"),
    Output("techno", "genre_techno", "Techno"),
    Output("strings", "instrument_strings", "Strings"),
    Output("drums", "instrument_drums", "Drums"),
    Output("electronic", "genre_electronic", "Electronic"),
    Output("rock", "genre_rock", "Rock"),
    Output("fast", "tempo_fast", "Fast"),
    Output("piano", "instrument_piano", "Piano"),
    Output("ambient", "genre_ambient", "Ambient"),
    Output("beat", "sound_beat", "Beat"),
    Output("violin", "instrument_violin", "Violin"),
    Output("vocal", "voice_vocal", "Vocal"),
    Output("synth", "instrument_synth", "Synthesizer"),
    Output("female", "voice_female", "Female voice"),
    Output("indian", "genre_indian", "Indian"),
    Output("opera", "genre_opera", "Opera"),
    Output("male", "voice_male", "Male voice"),
    Output("singing", "voice_singing", "Singing"),
    Output("vocals", "voice_vocals", "Vocals"),
    Output("no vocals", "voice_no_vocals", "No vocals"),
    Output("harpsichord", "instrument_harpsichord", "Harpsichord"),
    Output("loud", "sound_loud", "Loud"),
    Output("quiet", "sound_quiet", "Quiet"),
    Output("flute", "instrument_flute", "Flute"),
    Output("woman", "voice_woman", "Woman's voice"),
    Output("male vocal", "voice_male_vocal", "Male vocal"),
    Output("no vocal", "voice_no_vocal", "No vocal"),
    Output("pop", "genre_pop", "Pop"),
    Output("soft", "sound_soft", "Soft"),
    Output("sitar", "instrument_sitar", "Sitar"),
    Output("solo", "sound_solo", "Solo"),
    Output("man", "voice_man", "Man's voice"),
    Output("classic", "genre_classic", "Classic"),
    Output("choir", "voice_choir", "Choir"),
    Output("voice", "voice_any", "Voice"),
    Output("new age", "genre_new_age", "New age"),
    Output("dance", "genre_dance", "Dance"),
    Output("male voice", "voice_male_voice", "Male voice, spoken or sung"),
    Output("female vocal", "voice_female_vocal", "Female vocal"),
    Output("beats", "sound_beats", "Beats"),
    Output("harp", "instrument_harp", "Harp"),
    Output("cello", "instrument_cello", "Cello"),
    Output("no voice", "voice_no_voice", "No voice"),
    Output("weird", "mood_weird", "Weird"),
    Output("country", "genre_country", "Country"),
    Output("metal", "genre_metal", "Metal"),
    Output("female voice", "voice_female_voice", "Female voice, spoken or sung"),
    Output("choral", "voice_choral", "Choral"),
)

VIBENET = (
    Output("acousticness", "acousticness", "Acousticness"),
    Output("danceability", "danceability", "Danceability"),
    Output("energy", "energy", "Energy"),
    Output("instrumentalness", "instrumentalness", "Instrumentalness"),
    Output("liveness", "liveness", "Liveness"),
    Output("speechiness", "speechiness", "Speechiness"),
    Output("valence", "valence", "Valence"),
)
# These come as logits; the others as values to be clipped to 0..1.
VIBENET_LOGITS = frozenset({"acousticness", "instrumentalness", "liveness"})

_WORDS = {output.head: output.words for table in (MTT, VIBENET, MSD) for output in table}


def known_heads(labels: tuple[str, ...]) -> tuple[str, ...] | None:
    """Head names for a model whose labels are one of the tables above, whatever their case; else None."""
    for table in (MSD, MTT):
        if [o.label.lower() for o in table] == [label.lower() for label in labels]:
            return tuple(output.head for output in table)
    return None


def genre_words(head: str) -> str | None:
    """A genre for people, where the head says one that is known: `genre_hip_hop` is "Hip-hop"."""
    return _WORDS.get(head) if head.startswith("genre_") else None


def plain_words(head: str) -> str:
    """A head's name for people: `genre_hip_hop` is "Hip-hop", an unknown `mood_cosy` is "Mood cosy"."""
    return _WORDS.get(head) or head.replace("_", " ").capitalize()
