"""Wrong answers to the exercises of notebook 15_in_production, each with a pattern that its hint must match."""

WRONG = {
    "psi_from_counts": {
        """
import numpy as np
def psi_from_counts(r, c):
    p, q = np.array(r) / sum(r), np.array(c) / sum(c)
    with np.errstate(all="ignore"):
        return ((q - p) * np.log(q / p)).sum()
""": r"the last bin is empty now. Hint: add 0\.5",
        """
import math
def psi_from_counts(r, c):
    p, q = [a / sum(r) for a in r], [b / sum(c) for b in c]
    return sum((b - a) * math.log(b / a) for a, b in zip(p, q))
""": r"raised ValueError",
        """
import numpy as np
def psi_from_counts(r, c):
    p, q = np.array(r) + 0.5, np.array(c) + 0.5
    return ((q - p) * np.log(q / p)).sum()
""": r"those are counts",
        """
import numpy as np
def psi_from_counts(r, c):
    p, q = np.array(r) / sum(r) + 0.5, np.array(c) / sum(c) + 0.5
    return ((q - p) * np.log(q / p)).sum()
""": r"0\.5 was added to shares",
        """
import numpy as np
def psi_from_counts(r, c):
    p, q = (np.array(r) + 0.5) / sum(r), (np.array(c) + 0.5) / sum(c)
    return ((q - p) * np.log(q / p)).sum()
""": r"do not add up to 1",
        """
import numpy as np
def psi_from_counts(r, c):
    p, q = np.array(r) + 0.5, np.array(c) + 0.5
    p, q = p / p.sum(), q / q.sum()
    return (q * np.log(q / p)).sum()
""": r"Kullback-Leibler.*not q\.",
        """
import numpy as np
def psi_from_counts(r, c):
    p, q = np.array(r) + 0.5, np.array(c) + 0.5
    p, q = p / p.sum(), q / q.sum()
    return ((p - q) * np.log(q / p)).sum()
""": r"sign is turned around",
        """
import numpy as np
def psi_from_counts(r, c):
    p, q = np.array(r) + 0.5, np.array(c) + 0.5
    p, q = p / p.sum(), q / q.sum()
    return ((q - p) * np.log10(q / p)).sum()
""": r"base 10",
        """
import numpy as np
def psi_from_counts(r, c):
    p, q = np.array(r) + 0.5, np.array(c) + 0.5
    p, q = p / p.sum(), q / q.sum()
    return (q - p) * np.log(q / p)
""": r"four numbers are what each bin adds",
        """
import numpy as np
def psi_from_counts(r, c):
    p, q = np.array(r) + 0.5, np.array(c) + 0.5
    p, q = p / p.sum(), q / q.sum()
    return ((q - p) * np.log(q / p)).mean()
""": r"mean over the bins",
        """
import math
def psi_from_counts(r, c):
    p, q = [a / sum(r) for a in r], [b / sum(c) for b in c]
    return sum((b - a) * math.log(b / a) for a, b in zip(p, q) if a and b)
""": r"empty bin is left out",
        """
import math
def psi_from_counts(r, c):
    for i in range(len(r)):
        r[i] += 0.5
        c[i] += 0.5
    return sum((b / sum(c) - a / sum(r)) * math.log(b / sum(c) / (a / sum(r))) for a, b in zip(r, c))
""": r"lists have changed",
        """
import math
def psi_from_counts(r, c):
    total = 0
    for i in range(4):
        p, q = (r[i] + 0.5) / (sum(r) + 0.5 * 4), (c[i] + 0.5) / (sum(c) + 0.5 * 4)
        total += (q - p) * math.log(q / p)
    return total
""": r"seven bins",
        "import numpy as np\n"
        "def psi_from_counts(reference_counts, current_counts):\n"
        "    p, q = np.array(reference_counts, float) / sum(reference_counts), np.array(current_counts, float) / sum(current_counts)\n"
        "    p, q = np.clip(p, 1e-4, None), np.clip(q, 1e-4, None)\n"
        "    return ((q - p) * np.log(q / p)).sum()": "counts plus 0",
    },
    "corrected": {
        """
def corrected(p_values):
    order = sorted(range(len(p_values)), key=lambda i: p_values[i])
    result, before = [0.0] * len(p_values), 0.0
    for rank, i in enumerate(order):
        raw = min(1.0, (len(p_values) - rank) * p_values[i])
        result[i], before = max(raw, before), raw
    return result
""": r"the largest of \*all\* before it",
        "def corrected(p_values):\n    return list(p_values)\n": r"nothing was corrected",
        "def corrected(p_values):\n    return [min(1.0, len(p_values) * p) for p in p_values]\n": r"Bonferroni",
        "def corrected(p_values):\n    return [len(p_values) * p for p in p_values]\n": r"none above 1",
        """
def corrected(p_values):
    result, least = [], 0.0
    for rank, p in enumerate(sorted(p_values)):
        least = max(least, min(1.0, (len(p_values) - rank) * p))
        result.append(least)
    return result
""": r"come out sorted",
        """
def corrected(p_values):
    order = sorted(range(len(p_values)), key=lambda i: p_values[i])
    result = [0.0] * len(p_values)
    for rank, i in enumerate(order):
        result[i] = min(1.0, (len(p_values) - rank) * p_values[i])
    return result
""": r"0\.03 comes out below 0\.028",
        """
def corrected(p_values):
    order = sorted(range(len(p_values)), key=lambda i: p_values[i])
    result, least = [0.0] * len(p_values), 0.0
    for rank, i in enumerate(order):
        least = result[i] = max(least, (len(p_values) - rank) * p_values[i])
    return result
""": r"one is above 1",
        """
from scipy.stats import false_discovery_control
def corrected(p_values):
    return false_discovery_control(p_values)
""": r"Benjamini-Hochberg",
        """
def corrected(p_values):
    return [min(1.0, (len(p_values) - i) * p) for i, p in enumerate(p_values)]
""": r"follow the order in the list",
        """
def corrected(p_values):
    p_values.sort()
    order = range(len(p_values))
    return [min(1.0, (len(p_values) - i) * p_values[i]) for i in order]
""": r"becomes",
        """
def corrected(p_values):
    order = sorted(range(5), key=lambda i: p_values[i])
    result, least = [0.0] * 5, 0.0
    for rank, i in enumerate(order):
        least = result[i] = max(least, min(1.0, (5 - rank) * p_values[i]))
    return result
""": r"raised IndexError|take their number|their number comes",
        """
def corrected(p_values):
    result, least = {}, 0.0
    for rank, p in enumerate(sorted(set(p_values))):
        least = result[p] = max(least, min(1.0, (len(set(p_values)) - rank) * p))
    return [result[p] for p in p_values]
""": r"equal p-values",
        "def corrected(p_values):\n    return min(p_values)\n": r"a list of numbers is wanted",
    },
    "sign_test": {
        """
import math
def sign_test(wins, losses):
    n = wins + losses
    return sum(math.comb(n, k) for k in range(wins + 1, n + 1)) / 2**n
""": r"8 belongs to them",
        """
import math
def sign_test(wins, losses):
    return math.comb(wins + losses, wins) / 2 ** (wins + losses)
""": r"exactly 8 wins",
        """
import math
def sign_test(wins, losses):
    n = wins + losses
    return sum(math.comb(n, k) for k in range(wins, n)) / 2**n
""": r"10 wins are left out",
        """
from scipy.stats import binomtest
def sign_test(wins, losses):
    return binomtest(wins, wins + losses).pvalue
""": r"two-sided",
        """
from scipy.stats import binomtest
def sign_test(wins, losses):
    return binomtest(wins, wins + losses, alternative="less").pvalue
""": r"so many wins or fewer",
        """
import math
def sign_test(wins, losses):
    n = wins + losses
    return sum(math.comb(n, k) for k in range(wins, n + 1))
""": r"counts the ways",
        "def sign_test(wins, losses):\n    return wins / (wins + losses)\n": r"share of wins",
        """
import math
def sign_test(wins, losses):
    n, most = wins + losses, max(wins, losses)
    return sum(math.comb(n, k) for k in range(most, n + 1)) / 2**n
""": r"start the sum at wins",
        """
import math
def sign_test(wins, losses):
    n = wins + losses
    return sum(math.comb(n, k) for k in range(wins, n + 1)) / 2**n if n else 0.0
""": r"without any difference it is 1",
        """
import math
def sign_test(wins, losses):
    return sum(math.comb(10, k) for k in range(wins, 11)) / 2**10
""": r"not always the same",
        """
from scipy.stats import binomtest
def sign_test(wins, losses):
    return binomtest(wins, wins + losses, alternative="greater").pvalue
""": r"for 0 wins and 0 losses it gives no number.*without any difference it is 1",
        """
from scipy.stats import norm
def sign_test(wins, losses):
    return norm.sf((wins - losses - 1) / (wins + losses) ** 0.5) if wins + losses else 1
""": r"for 8 wins and 2 losses it gives 0\.0569",
        "def sign_test(wins, losses):\n    return wins, losses\n": r"one number is wanted",
        "import math\n"
        "def sign_test(wins, losses):\n"
        "    n = wins + losses\n"
        "    return 1 - 0.5 * (1 + math.erf((wins - n / 2) / math.sqrt(n / 2))) if n else 1.0": r"n is wins \+ losses",
    },
}
RIGHT = {
    "sign_test": [
        "def sign_test(wins, losses):\n"
        "    from scipy.stats import binomtest\n"
        "    if wins + losses == 0:\n"
        "        return 1.0\n"
        '    return binomtest(wins, wins + losses, alternative="greater").pvalue',
        "def sign_test(wins, losses):\n"
        "    from scipy.stats import binom\n"
        "    return binom.sf(wins - 1, wins + losses, 0.5)",
        """
import math
def sign_test(wins, losses):
    n = wins + losses
    return round(sum(math.comb(n, k) for k in range(wins, n + 1)) / 2**n, 4)
""",
        """
from scipy.stats import binomtest
def sign_test(wins, losses):
    return binomtest(wins, wins + losses, alternative="greater").pvalue if wins + losses else 1
""",
    ],
    "psi_from_counts": [
        "import math\n"
        "def psi_from_counts(reference_counts, current_counts):\n"
        "    a = [c + 0.5 for c in reference_counts]\n"
        "    b = [c + 0.5 for c in current_counts]\n"
        "    return sum((x / sum(a) - y / sum(b)) * math.log((x / sum(a)) / (y / sum(b))) for x, y in zip(a, b))",
        """
import torch
def psi_from_counts(r, c):
    p, q = torch.tensor(r) + 0.5, torch.tensor(c) + 0.5
    p, q = p / p.sum(), q / q.sum()
    return ((p - q) * (p / q).log()).sum()
""",
    ],
    "corrected": [
        "def corrected(p_values):\n"
        "    n = len(p_values)\n"
        "    out = []\n"
        "    for p in p_values:\n"
        "        smaller = sorted(q for q in p_values if q <= p)\n"
        "        out.append(min(1, max((n - i) * q for i, q in enumerate(smaller))))\n"
        "    return out",
        "import numpy as np\n"
        "def corrected(p_values):\n"
        "    p = np.asarray(p_values)\n"
        "    order = p.argsort()\n"
        "    held = np.maximum.accumulate(p[order] * (len(p) - np.arange(len(p)))).clip(max=1)\n"
        "    out = np.empty_like(p)\n"
        "    out[order] = held\n"
        "    return out",
        """
import numpy as np
def corrected(p_values):
    p = np.array(p_values)
    order = p.argsort()
    out = np.empty_like(p)
    out[order] = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)).clip(max=1)
    return out
""",
    ],
}
