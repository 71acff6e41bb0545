"""scikit-learn models as skops files: a zip of JSON and arrays, no pickle, canonical bytes."""

from __future__ import annotations

import io
import json
import zipfile
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from twofold.errors import Corrupt, Denied, Unsupported
from twofold.mlops.formats.trees import TRUSTED_TREES, check_trees

MAX_BYTES: Final = 512 << 20
_SCHEMA: Final = "schema.json"
_FIXED_TIME: Final = (1980, 1, 1, 0, 0, 0)


class Skops:
    """Format `skops`.

    Equal models give equal bytes: skops names arrays by memory address and stamps the clock, so
    the file is rewritten with names in order of appearance and one fixed time. Loading takes what
    skops trusts by default plus trees, whose indices are checked before use; everything else is refused.

    Source: https://skops.readthedocs.io/en/stable/persistence.html
    """

    name = "skops"

    def fits(self, model: object) -> bool:
        """Anything with scikit-learn's `predict` and `get_params`."""
        return hasattr(model, "predict") and hasattr(model, "get_params")

    def dump(self, model: object) -> bytes:
        """Canonical bytes. Raises `Unsupported` naming the types that could not be loaded again."""
        import skops.io  # noqa: PLC0415 - heavy, and optional

        data = canonical(skops.io.dumps(model))
        if unknown := sorted(set(skops.io.get_untrusted_types(data=data)) - TRUSTED_TREES):
            raise Unsupported(
                f"the model holds {', '.join(unknown)}, which would not be loaded again; use scikit-learn's own parts",
                types=unknown,
            )
        return data

    def load(self, data: bytes) -> SkopsPredictor:
        """The predictor. Raises `Corrupt` or `Denied`."""
        try:
            import skops.io  # noqa: PLC0415 - heavy, and optional
            from skops.io.exceptions import UntrustedTypesFoundException  # noqa: PLC0415 - the same
        except ImportError as error:
            raise Unsupported(
                f"skops models need scikit-learn and skops: pip install 'twofold[sklearn]' ({error})"
            ) from error

        _check_archive(data)
        try:
            model = skops.io.loads(data, trusted=sorted(TRUSTED_TREES))
        except UntrustedTypesFoundException as error:
            raise Denied(f"the model file asks for types that are not on the allow-list: {error}") from error
        except Exception as error:  # skops raises what the broken part happens to raise
            raise Corrupt(f"no readable skops file: {type(error).__name__}: {error}", size_bytes=len(data)) from error
        check_trees(model)
        return SkopsPredictor(model)


class SkopsPredictor:
    """A scikit-learn model: chances of a classifier, values of a regressor.

    A classifier of two classes gives the chance of the second, shape (n, 1).
    """

    def __init__(self, model: Any) -> None:
        from sklearn import config_context  # noqa: PLC0415 - heavy, and optional

        self.model = model
        self._context = config_context
        self._chances = hasattr(model, "predict_proba")

    def predict(self, columns: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
        """Outputs of shape (n, m). The caller has checked that numbers are finite, so that is not checked again."""
        with self._context(assume_finite=True, skip_parameter_validation=True):
            found = self.model.predict_proba(columns) if self._chances else self.model.predict(columns)
        outputs = np.asarray(found, dtype=np.float64)
        if self._chances and outputs.shape[1] == 2:  # noqa: PLR2004 - two classes
            return outputs[:, 1:]
        return outputs.reshape(len(columns), -1)


def canonical(data: bytes) -> bytes:
    """Rewrite a skops file so that equal models give equal bytes."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        schema = json.loads(archive.read(_SCHEMA))
        names: dict[str, str] = {}
        _rename(schema, {}, names)
        contents = {new: archive.read(old) for old, new in names.items()}
    contents[_SCHEMA] = json.dumps(schema, sort_keys=True, separators=(",", ":")).encode()
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", compression=zipfile.ZIP_DEFLATED, compresslevel=6) as archive:
        for name in sorted(contents):
            entry = zipfile.ZipInfo(name, _FIXED_TIME)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.create_system = 3
            archive.writestr(entry, contents[name])
    return out.getvalue()


def _rename(node: object, ids: dict[int, int], names: dict[str, str]) -> None:
    """Number object ids and array files in order of appearance; plain JSON values need no id."""
    if isinstance(node, list):
        for child in node:
            _rename(child, ids, names)
    if not isinstance(node, dict):
        return
    if node.get("is_json") or node.get("__loader__") == "TypeNode":
        node.pop("__id__", None)
    elif "__id__" in node:
        node["__id__"] = ids.setdefault(node["__id__"], len(ids) + 1)
    if isinstance(file := node.get("file"), str):
        node["file"] = names.setdefault(file, f"{len(names):06d}{file[file.rfind('.') :]}")
    for child in node.values():
        _rename(child, ids, names)


def _check_archive(data: bytes) -> None:
    """Sizes before anything is unpacked, and no downgrade to an older protocol of the format."""
    from skops.io._protocol import PROTOCOL  # noqa: PLC0415 - heavy, and optional

    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            size = sum(entry.file_size for entry in archive.infolist())
            protocol = json.loads(archive.read(_SCHEMA)).get("protocol") if size <= MAX_BYTES else None
    except (zipfile.BadZipFile, KeyError, ValueError, AttributeError) as error:
        raise Corrupt(f"no readable skops file: {error}", size_bytes=len(data)) from error
    if size > MAX_BYTES:
        raise Denied(f"the model unpacks to {size} bytes, limit {MAX_BYTES}", size_bytes=size, limit_bytes=MAX_BYTES)
    if protocol != PROTOCOL:
        raise Denied(f"skops protocol {protocol!r} is not {PROTOCOL}: train the model again", protocol=protocol)
