from pathlib import Path

import pytest

from nomarr.errors import SettingsError
from nomarr.settings import SECRETS, load_settings, unknown_names


def test_defaults_need_nothing(tmp_path: Path) -> None:
    settings = load_settings({"NOMARR_DATA_DIR": str(tmp_path)})
    assert settings.port == 8356
    assert settings.namespace == "nom"
    assert settings.models == tmp_path / "models"
    assert settings.database == f"sqlite:///{tmp_path}/nomarr.db"


def test_the_environment_wins_over_the_file_and_the_call_over_both(tmp_path: Path) -> None:
    (tmp_path / "nomarr.yaml").write_text("port: 1000\nworkers: 3\nnamespace: file\n")
    environment = {"NOMARR_DATA_DIR": str(tmp_path), "NOMARR_PORT": "2000", "NOMARR_NAMESPACE": "env"}
    settings = load_settings(environment, namespace="call")
    assert (settings.port, settings.workers, settings.namespace) == (2000, 3, "call")


def test_old_names_of_write_modes_are_understood(tmp_path: Path) -> None:
    for old, new in (("full", "native"), ("minimal", "moods")):
        found = load_settings({"NOMARR_DATA_DIR": str(tmp_path), "NOMARR_FILE_WRITE_MODE": old})
        assert found.file_write_mode == new


def test_secrets_can_come_from_files(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("swordfish\n")
    environment = {"NOMARR_DATA_DIR": str(tmp_path), "NOMARR_ADMIN_PASSWORD_FILE": str(tmp_path / "secret")}
    settings = load_settings(environment)
    assert settings.admin_password is not None
    assert settings.admin_password.get_secret_value() == "swordfish"
    assert "swordfish" not in repr(settings)


def test_a_missing_secret_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"NOMARR_ADMIN_PASSWORD_FILE.*nowhere"):
        load_settings({"NOMARR_DATA_DIR": str(tmp_path), "NOMARR_ADMIN_PASSWORD_FILE": str(tmp_path / "nowhere")})


@pytest.mark.parametrize(
    ("name", "value"), [("PORT", "many"), ("PORT", "70000"), ("NAMESPACE", "No m"), ("FILE_WRITE_MODE", "all")]
)
def test_a_bad_value_is_refused_by_name(tmp_path: Path, name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=name.lower()):
        load_settings({"NOMARR_DATA_DIR": str(tmp_path), f"NOMARR_{name}": value})


@pytest.mark.parametrize("text", ["prot: 1\n", "- a\n", "a: [\n"])
def test_a_bad_settings_file_is_refused_with_its_path(tmp_path: Path, text: str) -> None:
    (tmp_path / "nomarr.yaml").write_text(text)
    with pytest.raises(SettingsError, match=r"nomarr\.yaml"):
        load_settings({"NOMARR_DATA_DIR": str(tmp_path)})


def test_a_settings_file_may_use_the_names_of_the_api(tmp_path: Path) -> None:
    (tmp_path / "nomarr.yaml").write_text("tagger_worker_count: 3\n")
    assert load_settings({"NOMARR_DATA_DIR": str(tmp_path)}).workers == 3


def test_what_is_fixed_is_not_for_the_settings_file_to_say(tmp_path: Path) -> None:
    (tmp_path / "nomarr.yaml").write_text("fixed: [namespace]\n")
    with pytest.raises(SettingsError, match="unknown setting 'fixed'"):
        load_settings({"NOMARR_DATA_DIR": str(tmp_path)})


@pytest.mark.parametrize(
    ("text", "proxies"),
    [
        ("10.0.0.1, ::1", ("10.0.0.1", "::1")),
        ("172.16.5.9/12", ("172.16.0.0/12",)),
        ("*", ("*",)),
        ("none", ()),
    ],
)
def test_trusted_proxies_are_addresses_or_networks(tmp_path: Path, text: str, proxies: tuple[str, ...]) -> None:
    found = load_settings({"NOMARR_DATA_DIR": str(tmp_path), "NOMARR_TRUSTED_PROXIES": text})
    assert found.trusted_proxies == proxies


@pytest.mark.parametrize("text", ["proxy", "10.0.0.1/40", "10.0.0"])
def test_a_trusted_proxy_by_name_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(SettingsError, match=r"trusted_proxies.*neither an address nor a network"):
        load_settings({"NOMARR_DATA_DIR": str(tmp_path), "NOMARR_TRUSTED_PROXIES": text})


def test_places_to_browse_become_absolute(tmp_path: Path) -> None:
    found = load_settings({"NOMARR_DATA_DIR": str(tmp_path), "NOMARR_BROWSE_ROOTS": "/music/../srv, ~/x"})
    assert found.browse_roots == (Path("/srv"), Path("~/x").expanduser())


def test_misspelt_variables_are_found() -> None:
    assert unknown_names({"NOMARR_PROT": "1", "NOMARR_PORT": "1", "NOMARR_DATABASE_URL_FILE": "x"}) == ["NOMARR_PROT"]


def test_settings_survive_the_way_into_another_process(tmp_path: Path) -> None:
    environment = {
        "NOMARR_DATA_DIR": str(tmp_path),
        "NOMARR_ADMIN_PASSWORD": "swordfish",
        "NOMARR_LIBRARY_IGNORE_PATTERNS": "*.tmp, Podcasts",
        "NOMARR_LIBRARY_AUTO_TAG": "false",
        "NOMARR_BROWSE_ROOTS": "/music,/srv",
    }
    settings = load_settings(environment)
    assert load_settings(settings.as_environment()) == settings


@pytest.mark.parametrize(
    ("text", "base"), [("/nomarr", "/nomarr"), ("nomarr/", "/nomarr"), ("/", ""), ("/a/b_c", "/a/b_c")]
)
def test_a_base_is_a_path_without_a_slash_at_its_end(tmp_path: Path, text: str, base: str) -> None:
    assert load_settings({"NOMARR_DATA_DIR": str(tmp_path), "NOMARR_URL_BASE": text}).url_base == base


@pytest.mark.parametrize("text", ["/api", "/docs/nomarr", "http://host/nomarr", "/a//b", "/../x", "/a?b", "/\u00e4"])
def test_a_base_that_cannot_be_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(SettingsError, match="url_base"):
        load_settings({"NOMARR_DATA_DIR": str(tmp_path), "NOMARR_URL_BASE": text})


@pytest.mark.parametrize(
    ("known", "lies"),
    [
        ("/music", "/mnt/nas"),
        ("/music/Artist/1.mp3", "/mnt/nas/Artist/1.mp3"),
        ("/music/jazz/1.mp3", "/jazz/1.mp3"),
        ("/music/jazzy/1.mp3", "/mnt/nas/jazzy/1.mp3"),
        ("/music2/1.mp3", "/music2/1.mp3"),
        ("/srv/1.mp3", "/srv/1.mp3"),
    ],
)
def test_the_longest_mapping_of_whole_parts_counts(tmp_path: Path, known: str, lies: str) -> None:
    text = "/music=/mnt/nas/, /music/jazz/=/jazz"
    settings = load_settings({"NOMARR_DATA_DIR": str(tmp_path), "NOMARR_ROOT_MAPPING": text})
    assert settings.here(known) == lies
    assert load_settings(settings.as_environment()) == settings


@pytest.mark.parametrize("text", ["/music", "music=/mnt", "/music=mnt", "="])
def test_a_mapping_without_two_places_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(SettingsError, match="root_mapping"):
        load_settings({"NOMARR_DATA_DIR": str(tmp_path), "NOMARR_ROOT_MAPPING": text})


def test_every_secret_can_come_from_a_file(tmp_path: Path) -> None:
    for name in SECRETS:
        (tmp_path / name).write_text(f" secret of {name}\n")
    files = {f"NOMARR_{name.upper()}_FILE": str(tmp_path / name) for name in SECRETS}
    settings = load_settings({"NOMARR_DATA_DIR": str(tmp_path), **files})
    assert settings.secrets() == {name: f"secret of {name}" for name in SECRETS}
    assert {"admin_password", "database_url", "navidrome_password"} <= set(SECRETS)
    assert "secret of" not in repr(settings)
    assert unknown_names(files) == []


def test_an_empty_secret_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("\n")
    with pytest.raises(SettingsError, match=r"NOMARR_ADMIN_PASSWORD_FILE.*is empty"):
        load_settings({"NOMARR_DATA_DIR": str(tmp_path), "NOMARR_ADMIN_PASSWORD_FILE": str(tmp_path / "secret")})
