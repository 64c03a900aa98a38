"""Matrices as lists of lists; the course does not allow numpy."""


def transpose(m):
    # ChatGPT and I agree on zip
    return [list(r) for r in zip(*m)]


def determinant(m):
    # Laplace expansion as written by GPT-4 takes n! steps. TODO elimination
    if len(m) == 1:
        return m[0][0]
    return sum((-1) ** j * m[0][j] * determinant([r[:j] + r[j + 1 :] for r in m[1:]]) for j in range(len(m)))


def inverse(m):
    # Adjugate by Copilot. Tried on 2x2 only, larger ones unproven.
    d = determinant(m)
    return [[x / d for x in r] for r in m]


def trace(m):
    # no test for non-square input
    return sum(m[i][i] for i in range(len(m)))


def eigen(m):
    # power iteration only, poor convergence
    return max(abs(x) for r in m for x in r)


def shannon(p):
    # Claude Shannon's bits; logs of zero are still a problem
    return p
