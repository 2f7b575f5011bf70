"""Renders evaluations as a self-contained HTML page."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any, Final

from jobs.offline.metrics import CUTOFFS
from jobs.reports.plots import draw_bars, draw_lines

METRICS: Final = (
    "ndcg@20",
    "recall@20",
    "precision@20",
    "hit@20",
    "mrr@20",
    "coverage@20",
    "novelty@20",
    "diversity@20",
)
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


def _results_table(results: Sequence[Mapping[str, Any]]) -> str:
    names = [name for name in METRICS if any(name in result for result in results)]
    head = "".join(f"<th>{escape(name)}</th>" for name in ("", *names))
    body = "".join(
        f'<tr class="{"served" if result["name"] == "served" else ""}"><td>{escape(result["name"])}</td>'
        + "".join(_cell(result.get(name)) for name in names)
        + "</tr>"
        for result in results
    )
    return f'<div class="wide"><table><tr>{head}</tr>{body}</table></div>'


def _trials_table(trials: Sequence[Mapping[str, Any]]) -> str:
    rows = []
    for trial in trials:
        weighting = {f"training {name}": value for name, value in trial["weighting"].items()}
        text = ", ".join(f"{name} {value}" for name, value in {**trial["parameters"], **weighting}.items())
        score = "" if trial["ndcg@20"] is None else f"{trial['ndcg@20']:.4f} ± {trial['standard_error']:.4f}"
        rows.append(
            f"<tr><td>{escape(trial['algorithm'])}</td><td>{score}</td><td>{trial['fits']}</td>"
            f"<td>{trial['cost']:.1f}</td><td><code>{escape(text)}</code></td>"
            f"<td>{escape(trial['note'] or '')}</td></tr>"
        )
    head = (
        "<tr><th>algorithm</th><th>NDCG@20, tuning days</th><th>fits</th><th>cost</th><th>parameters</th><th></th></tr>"
    )
    return f'<div class="wide"><table>{head}{"".join(rows)}</table></div>' if rows else ""


def history_label(group: Mapping[str, Any]) -> str:
    """Return the range of sizes of a group of histories, such as 1, 3–4 or 100+."""
    first, last = group["from"], group.get("to")
    if last is None:
        return f"{first}+"
    return str(first) if first == last else f"{first}–{last}"


def _history_table(groups: Sequence[Mapping[str, Any]], names: Sequence[str], best_single_model: str | None) -> str:
    """Return a table with a row for each method and its mean for each history length; marks the best single model."""
    head = "".join(f"<th>{history_label(group)} ({group['users']:,})</th>" for group in groups)
    rows = []
    for name in names:
        label = escape(name) + (" (best single model)" if name == best_single_model else "")
        cells = "".join(_cell(group[name]) for group in groups)
        rows.append(f'<tr class="{"served" if name == "served" else ""}"><td>{label}</td>{cells}</tr>')
    return f'<div class="wide"><table><tr><th>events (users)</th>{head}</tr>{"".join(rows)}</table></div>'


def render_section(evaluation: Mapping[str, Any]) -> str:
    """Return the part of the page on one evaluation, the JSON object of ``Evaluation.as_json``."""
    results, choice, groups = evaluation["results"], evaluation["choice"], evaluation["by_history"]
    intervals = [(result["name"], *(result["ndcg@20"][key] for key in ("mean", "low", "high"))) for result in results]
    recall = [(result["name"], [result[f"recall@{k}"]["mean"] for k in CUTOFFS]) for result in results]
    by_history = [(result["name"], [group[result["name"]] for group in groups]) for result in results]
    is_new_only = evaluation["mode"] == "new-only"
    relevant = "products that a user had not met before" if is_new_only else "all products, known ones included"
    serving = ", ".join(f"{name} {value}" for name, value in choice["parameters"]["serving"].items())
    return (
        f"<h2>Relevant: {relevant}</h2><p>{evaluation['users']:,} users added {evaluation['pairs']:,} such products to "
        f"the cart or bought them after {escape(evaluation['cut'])} UTC. Models learnt only from the "
        f"{evaluation['train']['events']:,} events of {evaluation['train']['users']:,} users and "
        f"{evaluation['train']['products']:,} products before that. Ranges are 95 % bootstrap intervals over users.</p>"
        + _results_table(results)
        + f"<h2>NDCG@20</h2>{draw_bars(intervals, 'NDCG at 20 by method')}"
        + "<h2>Recall by length of the answer</h2>"
        + draw_lines([str(k) for k in CUTOFFS], recall, "recall at 5, 10 and 20")
        + "<h2>NDCG@20 by events in the user's history</h2>"
        + draw_lines(
            [f"{history_label(group)} ({group['users']})" for group in groups], by_history, "NDCG by history size"
        )
        + _history_table(groups, [result["name"] for result in results], evaluation["best_single_model"])
        + f"<h2>Chosen: {escape(choice['algorithm'])}</h2><p>{escape(choice['why'])}. Serving formula: "
        + f"<code>{escape(serving)}</code></p>"
        + _trials_table(choice["candidates"])
    )


def render_page(evaluations: Sequence[Mapping[str, Any]], title: str = "Quality of recommendations") -> str:
    """Return the page on one or more evaluations, each the JSON object of ``Evaluation.as_json``."""
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{STYLE}</style></head>'
        f"<body><h1>{escape(title)}</h1>"
        + "".join(render_section(evaluation) for evaluation in evaluations)
        + "</body></html>"
    )
