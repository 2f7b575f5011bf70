"""The evaluation as one HTML page that needs nothing beside it."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any, Final

from jobs.reports.plots import bars, lines

SHOWN: Final = ("ndcg@20", "recall@20", "precision@20", "hit@20", "mrr@20", "coverage@20", "novelty@20", "diversity@20")
STYLE: Final = """
body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#1c2321}
h1{font-size:1.6rem}h2{font-size:1.15rem;margin-top:2rem}
table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums;font-size:.9rem}
th,td{padding:.3rem .5rem;text-align:right;border-bottom:1px solid #ddd}
th:first-child,td:first-child{text-align:left}
tr.served{font-weight:600}.range{color:#777;font-size:.8rem;font-weight:400;display:block}
svg{width:100%;height:auto;font:12px system-ui,sans-serif}code{font-size:.85rem}.wide{overflow-x:auto}
@media(prefers-color-scheme:dark){body{background:#161a19;color:#e6ebe9}svg text{fill:#e6ebe9}th,td{border-color:#333}}
"""


def _cell(value: Any) -> str:
    if value is None:
        return "<td></td>"
    if isinstance(value, Mapping):
        return f'<td>{value["mean"]:.4f}<span class="range">{value["low"]:.4f}–{value["high"]:.4f}</span></td>'
    return f"<td>{value:.4f}</td>"


def _table(results: Sequence[Mapping[str, Any]]) -> str:
    names = [name for name in SHOWN if any(name in one for one in results)]
    head = "".join(f"<th>{escape(name)}</th>" for name in ("", *names))
    body = "".join(
        f'<tr class="{"served" if one["name"] == "served" else ""}"><td>{escape(one["name"])}</td>'
        + "".join(_cell(one.get(name)) for name in names)
        + "</tr>"
        for one in results
    )
    return f'<div class="wide"><table><tr>{head}</tr>{body}</table></div>'


def _candidates(choice: Mapping[str, Any]) -> str:
    rows = []
    for one in choice["candidates"]:
        told = {**one["parameters"], **{f"training {name}": value for name, value in one["weighting"].items()}}
        text = ", ".join(f"{name} {value}" for name, value in told.items())
        score = "" if one["ndcg@20"] is None else f"{one['ndcg@20']:.4f} ± {one['standard_error']:.4f}"
        rows.append(
            f"<tr><td>{escape(one['algorithm'])}</td><td>{score}</td><td>{one['fits']}</td>"
            f"<td>{one['seconds']:.1f}</td><td><code>{escape(text)}</code></td>"
            f"<td>{escape(one['note'] or '')}</td></tr>"
        )
    head = "<tr><th>candidate</th><th>NDCG@20, tuning days</th><th>fits</th><th>s</th><th>parameters</th><th></th></tr>"
    return f'<div class="wide"><table>{head}{"".join(rows)}</table></div>' if rows else ""


def section(result: Mapping[str, Any]) -> str:
    """Return the part of the page on one evaluation, of ``Evaluation.as_json``."""
    results, choice = result["results"], result["choice"]
    intervals = [(one["name"], *(one["ndcg@20"][key] for key in ("mean", "low", "high"))) for one in results]
    by_k = [(one["name"], [one[f"recall@{k}"]["mean"] for k in (5, 10, 20)]) for one in results]
    history = result["by_history"]
    by_history = [(one["name"], [group[one["name"]] for group in history]) for one in results]
    asked = (
        "products that a user had not met before" if result["mode"] == "new-only" else "all products a user turned to"
    )
    serving = ", ".join(f"{name} {value}" for name, value in choice["parameters"]["serving"].items())
    return (
        f"<h2>Asked for: {asked}</h2><p>{result['users']:,} users put {result['pairs']:,} such products into the cart "
        f"or bought them after {escape(result['cut'])} UTC. Learnt from {result['train']['events']:,} events of "
        f"{result['train']['users']:,} users and {result['train']['products']:,} products before that, and from "
        f"nothing else. Ranges are 95 % bootstrap intervals over users.</p>"
        + _table(results)
        + f"<h2>NDCG@20</h2>{bars(intervals, 'NDCG at 20 by way of recommending')}"
        + f"<h2>Recall by length of the answer</h2>{lines(['5', '10', '20'], by_k, 'recall at 5, 10 and 20')}"
        + "<h2>NDCG@20 by events in the user's history</h2>"
        + lines([f"{group['from']}+ ({group['users']})" for group in history], by_history, "NDCG by history size")
        + f"<h2>The choice: {escape(choice['algorithm'])}</h2><p>{escape(choice['why'])}. Serving formula: "
        + f"<code>{escape(serving)}</code></p>"
        + _candidates(choice)
    )


def page(results: Sequence[Mapping[str, Any]], title: str = "Quality of recommendations") -> str:
    """Return the whole page for one or more evaluations, of ``Evaluation.as_json``."""
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{STYLE}</style></head>'
        f"<body><h1>{escape(title)}</h1>" + "".join(section(one) for one in results) + "</body></html>"
    )
