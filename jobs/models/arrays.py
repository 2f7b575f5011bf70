"""The array types that jobs share, named by their dtype; a signature's docstring adds the shape."""

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

BoolArray: TypeAlias = NDArray[np.bool_]
Int32Array: TypeAlias = NDArray[np.int32]
Int64Array: TypeAlias = NDArray[np.int64]
Float32Array: TypeAlias = NDArray[np.float32]
Float64Array: TypeAlias = NDArray[np.float64]
# float32 or float64
FloatArray: TypeAlias = NDArray[np.floating[Any]]
# int32 or int64
IntArray: TypeAlias = NDArray[np.integer[Any]]
# datetime64[us], in UTC
TimeArray: TypeAlias = NDArray[np.datetime64]

# interaction weights, shape (n_users, n_items), as CSR in double precision
Matrix: TypeAlias = "sparse.csr_array[np.float64, tuple[int, int]]"
# a CSR matrix of any dtype
AnyMatrix: TypeAlias = "sparse.csr_array[Any, tuple[int, int]]"
