"""Opening the pickles of the Planetoid files and of TabPFN's tables without trusting them."""

from __future__ import annotations

import collections
import io
import math
import pickle
from pathlib import Path
from typing import Any

from claimbench.errors import UserError

_DAMAGE = (
    pickle.UnpicklingError,
    EOFError,
    ValueError,
    TypeError,
    AttributeError,
    LookupError,
    ImportError,
    OverflowError,
)


class _Unpickler(pickle.Unpickler):
    """Knows array parts, CSR matrices, ``defaultdict`` and ``list``; every other name is refused."""

    def find_class(self, module: str, name: str) -> Any:
        import numpy as np
        import scipy.sparse

        allowed = {
            ("numpy.core.multiarray", "_reconstruct"): np.empty(0).__reduce__()[0],
            ("numpy", "ndarray"): np.ndarray,
            ("numpy", "dtype"): np.dtype,
            ("scipy.sparse.csr", "csr_matrix"): scipy.sparse.csr_matrix,  # the module's name when they were written
            ("collections", "defaultdict"): collections.defaultdict,
            ("__builtin__", "list"): list,
            ("builtins", "list"): list,
        }
        if (module, name) not in allowed:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}, which is not allowed")
        return allowed[module, name]


def load(path: Path) -> Any:
    """The object in a Planetoid file: an array, a ``scipy.sparse.csr_matrix`` or the dict of neighbour lists.

    Raises:
        UserError: the file is damaged or asks for anything else than those types.
    """
    import numpy as np
    import scipy.sparse

    try:
        with open(path, "rb") as file:
            value = _Unpickler(file, encoding="latin1").load()
        if isinstance(value, scipy.sparse.csr_matrix):
            # Written by an old scipy: build it again, checked.
            shape = value.__dict__.get("_shape", value.__dict__.get("shape"))
            value = scipy.sparse.csr_matrix((value.data, value.indices, value.indptr), shape=shape)
            value.check_format(full_check=True)
    except _DAMAGE as error:
        raise UserError(f"{path}: refused as a pickle ({error})") from error
    if not isinstance(value, np.ndarray | scipy.sparse.csr_matrix | dict):
        raise UserError(f"{path}: refused as a pickle (it holds a {type(value).__name__})")
    return value


_MAGIC = 0x1950A86A20F9469CFC6C
"""First of the pickles in the storage format that torch wrote before version 1.6."""
_STORAGES = {"FloatStorage": "<f4", "DoubleStorage": "<f8", "LongStorage": "<i8", "IntStorage": "<i4"}


class _StorageUnpickler(pickle.Unpickler):
    """The description of one torch storage: its type becomes a numpy dtype, every other name is refused."""

    def find_class(self, module: str, name: str) -> Any:
        if module == "torch" and name in _STORAGES:
            return _STORAGES[name]
        raise pickle.UnpicklingError(f"a tensor asks for {module}.{name}, which is not allowed")

    def persistent_load(self, pid: Any) -> Any:
        kind, dtype, _, _, length, view = pid
        if kind != "storage" or dtype not in _STORAGES.values() or view is not None:
            raise pickle.UnpicklingError("a tensor has an unknown kind of storage")
        return dtype, length


def _storage(content: bytes) -> Any:
    """The numbers of one storage in torch's old format: five pickles, the length, the raw values."""
    import numpy as np

    stream = io.BytesIO(content)
    magic, _, system, (dtype, length), keys = (_StorageUnpickler(stream).load() for _ in range(5))
    raw = stream.read()
    if (
        magic != _MAGIC
        or not system.get("little_endian")
        or len(keys) != 1
        or int.from_bytes(raw[:8], "little") != length
    ):
        raise pickle.UnpicklingError("a tensor is not in torch's old storage format")
    return np.frombuffer(raw, dtype, count=length, offset=8)


def _tensor(storage: Any, offset: int, size: tuple[int, ...], stride: tuple[int, ...], *_: Any) -> Any:
    """A torch tensor as a numpy array; what torch leaves to its own checks is checked here."""
    import numpy as np

    dense = tuple(math.prod(size[axis + 1 :]) for axis in range(len(size)))
    stop = offset + math.prod(size)
    if min(offset, *size) < 0 or stride != dense or stop > storage.size:
        raise pickle.UnpicklingError(f"a tensor of {size} does not lie in a storage of {storage.size} numbers")
    return np.array(storage[offset:stop]).reshape(size)


def _number(dtype: Any, content: bytes) -> Any:
    import numpy as np

    if dtype.kind not in "biuf" or dtype.itemsize != len(content):
        raise pickle.UnpicklingError("a number is none, or has another size than its type")
    return np.frombuffer(content, dtype)[0]


class _TablesUnpickler(pickle.Unpickler):
    """Knows torch tensors of plain numbers, ``OrderedDict`` and numpy numbers; every other name is refused."""

    def find_class(self, module: str, name: str) -> Any:
        import numpy as np

        allowed = {
            ("torch._utils", "_rebuild_tensor_v2"): _tensor,
            ("torch.storage", "_load_from_bytes"): _storage,
            ("collections", "OrderedDict"): collections.OrderedDict,
            ("numpy.core.multiarray", "scalar"): _number,
            ("numpy", "dtype"): np.dtype,
        }
        if (module, name) not in allowed:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}, which is not allowed")
        return allowed[module, name]


def load_tables(path: Path) -> dict[str, tuple[Any, Any, list[int]]]:
    """The tables in the test file of TabPFN version 1, by name.

    Returns:
        name -> (features (N, F) float32 with NaN where a value is missing, class numbers (N,) int64, indices of the
        categorical columns).

    Raises:
        UserError: the file is damaged or asks for anything else than tensors and numbers.
    """
    import numpy as np

    found = {}
    try:
        with open(path, "rb") as file:
            rows = _TablesUnpickler(file).load()
        for name, x, y, categorical, *_ in rows:
            columns = [int(column) for column in categorical]
            if x.ndim != 2 or y.shape != x.shape[:1] or any(not 0 <= column < x.shape[1] for column in columns):
                raise pickle.UnpicklingError(f"{name} is not a table")
            found[str(name)] = x.astype(np.float32), y.astype(np.int64), columns
    except _DAMAGE as error:
        raise UserError(f"{path}: refused as a pickle ({error})") from error
    return found
