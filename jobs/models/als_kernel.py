"""The Numba kernel of implicit ALS: plain Python with scalars, loops and arrays. ``jobs/models/als.py`` compiles it."""

import numpy as np

from jobs.models.arrays import Float32Array, Int32Array, Int64Array


def improve_rows(
    first: int,
    last: int,
    base: Float32Array,
    starts: Int64Array,
    columns: Int32Array,
    extra_confidence: Float32Array,
    fixed: Float32Array,
    solved: Float32Array,
) -> None:
    """Take three conjugate gradient steps towards the least squares solution of the rows ``first`` to ``last``.

    Row u solves (base + Σ_i c_i · y_i y_iᵀ) x = Σ_i (1 + c_i) · y_i over its entries i, where c is
    ``extra_confidence`` and y_i = fixed[columns[i]] (Takacs et al., RecSys 2011).

    base : YᵀY + λI, shape (n_factors, n_factors).  starts, columns, extra_confidence : the entries as CSR.
    fixed : Y, shape (n_columns, n_factors).  solved : x of each row, shape (n_rows, n_factors), updated in place.
    """
    n = fixed.shape[1]
    zero = np.float32(0)
    residual, direction, product = np.empty(n, np.float32), np.empty(n, np.float32), np.empty(n, np.float32)
    for row in range(first, last):
        x = solved[row]
        for step in range(4):
            # step 0 computes the residual of x; the other steps move along a direction
            vector = direction if step else x
            product[:] = zero
            for i in range(n):
                value = vector[i]
                for j in range(n):
                    product[j] += value * base[i, j]
            for entry in range(starts[row], starts[row + 1]):
                factors = fixed[columns[entry]]
                total = zero
                for i in range(n):
                    total += factors[i] * vector[i]
                # step 0 subtracts the right-hand side as well: residual = −product
                total = extra_confidence[entry] * total - (zero if step else np.float32(1) + extra_confidence[entry])
                for i in range(n):
                    product[i] += total * factors[i]
            if step == 0:
                length = zero
                for i in range(n):
                    residual[i] = direction[i] = -product[i]
                    length += residual[i] * residual[i]
                continue
            size = zero
            for i in range(n):
                size += direction[i] * product[i]
            size = length / max(size, np.float32(1e-20))
            new_length = zero
            for i in range(n):
                x[i] += size * direction[i]
                residual[i] -= size * product[i]
                new_length += residual[i] * residual[i]
            ratio = new_length / max(length, np.float32(1e-20))
            for i in range(n):
                direction[i] = residual[i] + ratio * direction[i]
            length = new_length
