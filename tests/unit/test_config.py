import json
import re
from pathlib import Path

import pytest
import yaml

from serflow.config import Config, check_config, schema
from serflow.errors import ConfigError
from serflow.settings.written import Written, merged, read


def overlay(tmp_path: Path, text: str) -> tuple[dict, list[Written]]:
    file = tmp_path / "mine.yaml"
    file.write_text(text)
    written = read(file)
    return written.content, [written]


def test_config_yaml_repeats_the_typed_defaults(repository: Path) -> None:
    written = yaml.safe_load((repository / "config.yaml").read_text())
    assert check_config(written) == check_config(read(repository / "config.yaml").content) == Config()
    assert Config().as_json()["dlc"] == written["dlc"]


def test_every_key_of_the_typed_config_stands_in_config_yaml(repository: Path) -> None:
    written = yaml.safe_load((repository / "config.yaml").read_text())
    full = Config().as_json()
    for name in ("h1", "h2", "h3"):
        # left out: profiles that follow noise.mixing
        assert full["noise"]["profiles"][name].pop("mixing") is None
    for section in ("audio", "synthetic", "noise", "features", "backbones", "stores", "dlc"):
        assert written[section] == full[section]
    assert set(written) == set(full)


def test_generated_schema_is_up_to_date(repository: Path) -> None:
    kept = json.loads((repository / "workflow/schemas/config.schema.json").read_text())
    assert kept == schema(), "run `make schema`"


@pytest.mark.parametrize("name", ["free", "free_full", "paper"])
def test_presets_are_valid_overlays(repository: Path, name: str) -> None:
    preset = read(repository / "workflow/presets" / f"{name}.yaml")
    config = check_config(merged([read(repository / "config.yaml"), preset]))
    assert not any(config.is_synthetic(corpus) for corpus in preset.content["dlc"]["corpora"])
    # the page of a study whose corpora a preset does not name would be of stand-ins
    named = {corpus for corpus, settings in preset.content["corpora"].items() if settings["root"] is not None}
    for study in config.reported():
        assert named & set(config.plans()[study].corpora()), study


def test_the_smallest_preset_is_of_stand_ins_alone(repository: Path) -> None:
    preset = read(repository / "workflow/presets/smallest.yaml")
    config = check_config(merged([read(repository / "config.yaml"), preset]))
    plans = config.plans()
    assert all(config.is_synthetic(corpus) for study in plans.values() for corpus in study.corpora())
    assert plans.keys() == preset.content.keys() - {"synthetic"}


def test_unknown_key_names_file_line_and_nearest_key(tmp_path: Path) -> None:
    config, files = overlay(tmp_path, "noise:\n  seed: 1\n  mixin: snr\n")
    with pytest.raises(ConfigError, match=r"mine\.yaml:3: unknown key noise\.mixin \(did you mean 'mixing'\?\)"):
        check_config(config, files)


def test_unknown_key_deep_in_a_corpus_is_refused(tmp_path: Path) -> None:
    config, files = overlay(tmp_path, "corpora:\n  iemocap: {rot: /data}\n")
    with pytest.raises(ConfigError, match=r"mine\.yaml:2: unknown key corpora\.iemocap\.rot \(did you mean 'root'\?\)"):
        check_config(config, files)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("dlc:\n  asr: deepspeech\n  corpora: [iemocp]\n", "mine.yaml:3: dlc.corpora.0: 'iemocp' is not in corpora"),
        ("corpora:\n  mosei: {root: /x, layout: emodb}\n", "mine.yaml:2: corpora.mosei: this name is kept"),
        ("backbones:\n  bert: {release: mine}\n", "mine.yaml:2: backbones.bert.release: no release 'mine'"),
        ("features:\n  mfb:\n    extractor: mbf\n", "mine.yaml:3: features.mfb.extractor: no feature 'mbf'"),
    ],
)
def test_keys_that_do_not_fit_each_other_are_told_with_their_line(tmp_path: Path, text: str, said: str) -> None:
    config, files = overlay(tmp_path, text)
    with pytest.raises(ConfigError) as error:
        check_config(config, files)
    assert said in str(error.value)


def test_wrong_type_and_range_are_both_told(tmp_path: Path) -> None:
    config, files = overlay(tmp_path, "dlc:\n  training:\n    patience: 0\n    optimizer: sgd\n")
    with pytest.raises(ConfigError) as error:
        check_config(config, files)
    assert "mine.yaml:3: dlc.training.patience" in str(error.value)
    assert "mine.yaml:4: dlc.training.optimizer" in str(error.value)
    assert "'adadelta'" in str(error.value)


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"dlc": {"corpora": ["iemocp"]}}, "did you mean 'iemocap'"),
        ({"dlc": {"profiles": ["h4"]}}, "'h4' is not in noise.profiles"),
        ({"dlc": {"feature": "mfcb"}}, "did you mean 'mfb'"),
        ({"dlc": {"methods": ["moe_dcl"]}}, "did you mean 'moe_dlc'"),
        ({"dlc": {"seeds": [1, 1]}}, "stands there twice"),
        ({"dlc": {"training": {"patience": True}}}, "dlc.training.patience: true is not what it takes"),
        ({"noise": {"seed": False}}, "noise.seed: false is not what it takes"),
        ({"audio": {"min_duration_s": float("inf")}}, "audio.min_duration_s: Input should be a finite number"),
        ({"features": {"mbf": {}}, "dlc": {"feature": "mbf"}}, "did you mean 'mfb'"),
        ({"corpora": {"mine": {"root": "/x"}}}, "layout: table"),
        ({"corpora": {"mine": {"root": "/x", "layout": "table"}}}, "needs a root and `options`"),
        ({"corpora": {"mine": {"root": "synthetic", "layout": "emodb"}}}, "corpora.mine.root: there is no stand-in"),
        (
            {
                "corpora": {
                    "mine": {"root": "synthetic", "layout": "table", "options": {"table": "t.csv", "audio": "a"}}
                }
            },
            "corpora.mine.root: there is no stand-in for mine, layout table; give its folder",
        ),
        ({"corpora": {"mandarin": {"root": "synthetic", "layout": "cafe"}}}, "mandarin (layout table)"),
        ({"corpora": {"mandarin": {"root": "synthetic", "layout": "table"}}}, "needs a root and `options`"),
        ({"corpora": {"cafe": {"root": "/x", "features": ["mfb", "mffc"]}}}, "corpora.cafe.features: 'mffc'"),
        ({"noise": {"profiles": {"h1": {"natural": -5, "interior": 0}}}}, "noise.profiles.h1.human"),
    ],
)
def test_names_that_lead_nowhere_are_refused(config: dict, said: str) -> None:
    merged = {**Config().model_dump(), **config}
    if "corpora" in config:
        merged["corpora"] = {**Config().model_dump()["corpora"], **config["corpora"]}
    with pytest.raises(ConfigError) as error:
        check_config(merged)
    assert said in str(error.value)


@pytest.mark.parametrize("noise", ["synthetic", "/data/ESC-50"])
def test_no_corpus_but_a_stand_in_has_its_noise_raised(noise: str) -> None:
    """Whatever the noise: a real corpus in synthetic noise has the profiles' levels, a stand-in in ESC-50 has not."""
    content = {"corpora": {"emodb": {"root": "/data/emodb"}, "cafe": {}}, "noise": {"esc50": {"root": noise}}}
    content["corpora"]["cafe"]["root"] = "synthetic"
    typed = check_config(content | {"dlc": {"corpora": ["emodb"]}})
    assert (typed.snr_offset_db("emodb"), typed.snr_offset_db("cafe")) == (0.0, Config().synthetic.snr_offset_db)
    typed = check_config({"synthetic": {"snr_offset_db": 0}, **content, "dlc": {"corpora": ["emodb"]}})
    assert typed.snr_offset_db("cafe") == 0.0


def test_recordings_do_not_depend_on_levels_of_noise() -> None:
    of_voices = Config().synthetic.of_voices()
    assert set(of_voices) == set(Config().synthetic.model_dump()) - {"snr_offset_db"}


def test_a_profile_may_say_how_its_level_is_set() -> None:
    own = {"natural": 0, "interior": 0, "human": 0, "mixing": "authors_gain"}
    noise = check_config({"noise": {"profiles": {**Config().model_dump()["noise"]["profiles"], "own": own}}}).noise
    assert {name: noise.mixing_of(name) for name in ("h1", "h1_gain", "own")} == {
        "h1": "snr", "h1_gain": "authors_gain", "own": "authors_gain",
    }  # fmt: skip
    content = Config().model_dump()["noise"] | {"mixing": "authors_gain"}
    content["profiles"]["h2_gain"]["mixing"] = "snr"
    noise = check_config({"noise": content}).noise
    assert [noise.mixing_of(name) for name in ("h1", "h2_gain")] == ["authors_gain", "snr"]


def test_the_target_features_leaves_out_profiles_with_a_mixing_of_their_own() -> None:
    asked = {condition for _, _, condition in Config().features_asked_for()}
    assert asked == {"clean", "h1", "h2", "h3"}
    every = {condition for _, _, condition in Config().feature_stores()}
    assert every == asked | {"h1_gain", "h2_gain", "h3_gain"}


def test_the_target_features_builds_what_a_corpus_asks_for() -> None:
    config = Config().model_dump()
    config["corpora"] |= {"cafe": {"root": "/x", "features": []}, "emodb": {"root": None, "features": ["mfb"]}}
    typed = check_config(config)
    asked: dict[str, set[str]] = {}
    for feature, corpus, condition in typed.features_asked_for():
        assert condition in typed.conditions()
        asked.setdefault(corpus, set()).add(feature)
    assert asked.pop("mandarin") == {"mfcc_kaldi", "energy_vad"}
    assert asked == {name: set(typed.features) for name in ("iemocap", "msp_improv", "mosei", "ravdess", "crema_d")}
    # the others are targets by their path
    assert set(typed.features_asked_for()) < set(typed.feature_stores())
    assert {corpus for _, corpus, _ in typed.feature_stores()} == {*asked, "mandarin", "cafe"}


def test_the_mandarin_set_takes_the_place_of_its_stand_in_by_root_and_options() -> None:
    config = Config().model_dump()
    config["corpora"]["mandarin"]["root"] = "/data/mandarin"
    config["corpora"]["mandarin"]["options"] |= {
        "table": "labels.tsv", "audio": "speech/{file}", "columns": {"speaker": "spk", "emotion": "label"},
    }  # fmt: skip
    typed = check_config(config)
    assert not typed.is_synthetic("mandarin")
    assert typed.n_shards("mandarin") == -(-53803 // 512)
    assert Config().n_shards("mandarin") == 1


def test_shards_follow_from_published_counts_alone() -> None:
    config = Config().model_dump()
    config["corpora"]["iemocap"]["root"] = "/data/IEMOCAP_full_release"
    typed = check_config(config)
    assert typed.n_shards("iemocap") == -(-10039 // 512)
    assert typed.n_shards("emodb") == 1


def test_what_is_absent_names_key_source_licence_and_the_line_to_write(tmp_path: Path) -> None:
    nowhere = str(tmp_path / "nowhere")
    config = Config().model_dump()
    config["corpora"]["iemocap"]["root"] = config["corpora"]["crema_d"]["root"] = nowhere
    config["corpora"]["cafe"]["root"] = None
    config["corpora"]["ravdess"]["root"] = str(tmp_path)
    config["noise"]["esc50"]["root"] = nowhere
    config["transcripts"]["deepspeech"]["engine"] = nowhere
    config["backbones"]["byol"]["weights"] = nowhere
    typed = check_config(config)
    iemocap = typed.absent_corpus("iemocap")
    assert iemocap is not None
    assert iemocap.startswith(f"corpora.iemocap.root: no folder {nowhere}\n")
    assert "sail.usc.edu/iemocap" in iemocap
    assert "corpora: {iemocap: {root:" in iemocap
    assert (
        "take iemocap out of `dlc:`, `invariance:`, `temporal:`, `multigating:` and `speakernorm:` to go on without it"
        in iemocap
    )
    assert "ask for the targets of other corpora to go on without it" in str(typed.absent_corpus("crema_d"))
    assert str(typed.absent_corpus("cafe")).startswith("corpora.cafe.root: null, and this target needs the corpus\n")
    assert typed.absent_corpus("ravdess") is typed.absent_corpus("mosei") is None
    esc50 = typed.absent_esc50()
    assert esc50 is not None
    assert f"noise.esc50.root: no folder {nowhere}" in esc50
    assert "CC BY-NC 3.0" in esc50
    assert str(typed.absent_engine()).startswith(f"transcripts.deepspeech.engine: no file {nowhere}")
    assert str(typed.absent_weights("byol")).startswith(f"backbones.byol.weights: no file or folder {nowhere}")
    assert typed.absent_weights("ge2e") is Config().absent_esc50() is Config().absent_engine() is None


def test_relative_roots_are_taken_from_data_root() -> None:
    config = {**Config().model_dump(), "data_root": "/data"}
    config["corpora"]["emodb"]["root"] = "emodb"
    config["corpora"]["cafe"]["root"] = "/elsewhere/cafe"
    typed = check_config(config)
    assert typed.root("emodb") == Path("/data/emodb")
    assert typed.root("cafe") == Path("/elsewhere/cafe")


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ("dlc: {asr: whisper}", r"dlc\.asr: Input should be 'deepspeech', 'wav2vec2' or 'reference'"),
        ("dlc: {hffn: two_steps}", r"dlc\.hffn: Input should be 'end_to_end' or 'staged'"),
        ("dlc: {controls: [oracle]}", r"dlc\.controls\.0: Input should be 'single_clean'"),
        ("dlc: {controls: [chance, chance]}", r"mine\.yaml:1: dlc\.controls\.1: 'chance' stands there twice"),
        (
            "corpora: {emodb: {root: /x}, iemocap: {root: synthetic}}\n"
            "dlc: {corpora: [emodb, iemocap], seeds: [5, 6], asr: reference}",
            r"mine\.yaml:2: dlc\.seeds: \[5, 6\], and stand-ins have \[0\] \(dlc\.stand_in\.seeds\)",
        ),
        ("noise: {clips: own}", r"noise\.clips: Input should be 'shared' or 'by_fold'"),
        ("transcripts: {deepspeech: {lm_alpha: 0.9}}", "lm_alpha and lm_beta belong together"),
        ("features: {x: {extractor: mfb, backbone: bert}}", "'bert' gives no feature of audio"),
        ("features: {bert_mine: {extractor: mfb}}", "are those of embedded transcripts"),
        (
            "corpora: {mine: {layout: table, root: /x, language: pl, options: {table: t.csv, audio: a, "
            "columns: {emotion: e, dialogue: d, turn: t}}}}\ndlc: {corpora: [mine]}",
            r"dlc\.asr: deepspeech knows English, and mine is in 'pl'; take `reference`",
        ),
    ],
)
def test_choices_of_the_multimodal_methods_are_checked(tmp_path: Path, changed: str, message: str) -> None:
    config, files = overlay(tmp_path, changed)
    with pytest.raises(ConfigError, match=message):
        check_config(config, files)


@pytest.mark.parametrize("name", ["emodb", "mine", "no", "01", "1_0", "on", "true", "null-", "a-b", "2026-01-01"])
def test_what_advice_says_to_write_is_read_as_it_says(tmp_path: Path, name: str) -> None:
    config = Config().model_dump()
    options = {"table": "t.csv", "audio": "{f}", "columns": {"speaker": "s", "emotion": "e"}}
    own = {"layout": "table", "options": options} if name != "emodb" else {}
    config["corpora"][name] = {**own, "root": str(tmp_path / "nowhere")}
    config["noise"]["esc50"]["root"] = str(tmp_path / "nowhere")
    typed = check_config(config)
    advice = re.findall("`([^`]*: {[^`]*)`", f"{typed.absent_corpus(name)} {typed.absent_esc50()}")
    assert len(advice) == 2
    documents = [Written("", config), *(overlay(tmp_path, line)[1][0] for line in advice)]
    changed = check_config(merged(documents))
    assert changed.corpora[name].root == "/path/to/it"
    assert changed.noise.esc50.root == "/path/to/ESC-50-master"


def test_every_path_may_begin_with_the_home_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    config = Config().model_dump()
    config["data_root"] = "~/data"
    config["corpora"]["emodb"]["root"] = "emodb"
    config["corpora"]["cafe"]["root"] = "~/cafe"
    config["noise"]["esc50"]["root"] = "~/esc50"
    config["backbones"]["byol"]["weights"] = "~/byol.pth"
    config["backbones"]["bert"]["weights"] = "bert"
    config["transcripts"]["deepspeech"]["engine"] = "~/lib.so"
    typed = check_config(config)
    assert typed.root("emodb") == tmp_path / "data/emodb"
    assert typed.root("cafe") == tmp_path / "cafe"
    assert typed.esc50_root() == tmp_path / "esc50"
    assert typed.weights_path("byol") == tmp_path / "byol.pth"
    assert typed.weights_path("bert") == tmp_path / "data/bert"
    (tmp_path / "lib.so").touch()
    assert typed.absent_engine() is None


def test_a_folder_may_be_called_like_a_home_that_is_nobodys() -> None:
    config = Config().model_dump()
    config["corpora"]["emodb"]["root"] = "~nobody of that name/x"
    assert check_config(config).root("emodb") == Path("~nobody of that name/x")


def test_a_corpus_without_a_root_is_no_fault_until_it_is_needed() -> None:
    config = Config().model_dump()
    config["corpora"]["crema_d"]["root"] = None
    config["corpora"]["mine"] = {"layout": "table", "root": None}
    typed = check_config(config)
    assert not {"crema_d", "mine"} & {corpus for _, corpus, _ in [*typed.feature_stores(), *typed.transcript_stores()]}
    for corpus in ("crema_d", "mine"):
        assert "ask for the targets of other corpora" in str(typed.absent_corpus(corpus))


@pytest.mark.parametrize("section", ["corpora", "noise", "dlc", "features", "audio"])
def test_a_section_with_nothing_below_it_is_told(tmp_path: Path, section: str) -> None:
    config, documents = overlay(tmp_path, f"data_root: x\n{section}:\n# seed: 3\n")
    with pytest.raises(ConfigError, match=rf"mine\.yaml:2: {section}: nothing stands below it; write its keys"):
        check_config(config, documents)
