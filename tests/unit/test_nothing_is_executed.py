"""Nothing of a corpus, a configuration, weights or an archive is ever run: by what the code calls."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[2] / "src" / "serflow"
MODULES = sorted(PACKAGE.rglob("*.py"))

# functions that run what they are given, or unpickle it, or write where an archive says
NEVER = {
    "eval", "exec", "compile", "os.system", "os.popen", "os.execv", "pickle.load", "pickle.loads", "pickle.Unpickler",
    "marshal.loads", "joblib.load", "pd.read_pickle", "yaml.unsafe_load", "yaml.full_load", "yaml.load_all",
    "shutil.unpack_archive", "tarfile.extractall", "archive.extractall", "archive.extract",
    "torch.hub.load", "runpy.run_path", "runpy.run_module", "torch.jit.load",
}  # fmt: skip
# what each must be given
ONLY_WITH = {
    "torch.load": ("weights_only", True),
    "np.load": ("allow_pickle", False),
    "from_pretrained": ("local_files_only", True),
}
# how names of modules of this package begin; those of a plug-in are looked up among its files first
OURS = ("serflow.", "{_STUDIES}.", "{package}.")


def name_of(function):
    """Return a function as it is called: its module or object, and its name."""
    if isinstance(function, ast.Name):
        return function.id
    if isinstance(function, ast.Attribute):
        # of an object without a name nothing but a dot stands before it: `networks[0].eval()` is no `eval`
        return f"{name_of(function.value)}.{function.attr}"
    return ""


def constants(call):
    return {keyword.arg: keyword.value.value for keyword in call.keywords if isinstance(keyword.value, ast.Constant)}


def faults(text):
    """Return the lines of calls that run what they are given, or would if it were harmful."""
    found = []
    for call in (node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Call)):
        name, given = name_of(call.func), constants(call)
        last = name.rpartition(".")[2]
        harmful = name in NEVER or given.get("shell") is True or given.get("trust_remote_code") is True
        for function, (option, value) in ONLY_WITH.items():
            if name == function or (last == function and "." not in function):
                harmful |= given.get(option) is not value
        if name == "yaml.load":
            harmful |= name_of(call.args[1]) != "_Loader"
        if last == "import_module":
            harmful |= not _of_ours(call.args[0])
        if harmful:
            found.append(call.lineno)
    return found


def _of_ours(name):
    """Say whether a module's name is written out, or is of this package whatever its end."""
    if isinstance(name, ast.JoinedStr):
        return ast.unparse(name).lstrip("f'\"").startswith(OURS)
    return isinstance(name, ast.Constant) or (isinstance(name, ast.Name) and name.id == "package")


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_no_module_runs_what_it_is_given(path):
    assert faults(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    "harmful",
    [
        "eval(text)",
        "subprocess.run(text, shell=True)",
        "torch.load(path)",
        "torch.load(path, weights_only=False)",
        "np.load(path, allow_pickle=True)",
        "np.load(path)",
        "yaml.load(text, yaml.Loader)",
        "importlib.import_module(name)",
        "importlib.import_module(f'{name}.train')",
        "BertModel.from_pretrained(name)",
        "pickle.loads(content)",
    ],
)
def test_what_runs_what_it_is_given_is_noticed(harmful):
    assert faults(harmful) == [1]
    assert faults("os.path.join(a)\nyaml.load(text, _Loader)\ntorch.load(a, weights_only=True)") == []
