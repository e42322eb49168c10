"""Opening the pickles of the Planetoid files without trusting them."""

from __future__ import annotations

import collections
import pickle
from pathlib import Path
from typing import Any

from claimbench.errors import UserError

_DAMAGE = (pickle.UnpicklingError, EOFError, ValueError, TypeError, AttributeError, LookupError, ImportError)


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
