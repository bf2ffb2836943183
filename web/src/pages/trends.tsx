import { useMemo } from "react";
import { useSamples, useSamplesBroken } from "../api/sampling";
import { Chart } from "../parts/chart";
import { Panel } from "../parts/page";
import { Note } from "../parts/states";
import { span } from "../words/format";
import { points } from "../words/samples";

const rate = (v: number) => (v === 0 ? "0" : v < 10 ? v.toFixed(1) : Math.round(v).toLocaleString("en"));

/** Throughput, errors and lag of this node since the page was opened. */
export function Trends() {
	const samples = useSamples();
	const broken = useSamplesBroken();
	const { at, requests, errors, lag } = useMemo(() => {
		const p = points(samples);
		return {
			at: p.map((x) => x.at),
			requests: p.map((x) => x.requests),
			errors: p.map((x) => x.errors),
			lag: p.map((x) => x.oldestLag),
		};
	}, [samples]);
	const now = (values: number[], show: (v: number) => string) => {
		const last = values.at(-1);
		return last === undefined ? "–" : show(last);
	};
	return (
		<Panel title="As it goes" note="This node, since this page was opened">
			{broken && at.length === 0 ? (
				<Note tone="idle">The metrics of the node cannot be read from here. A proxy may keep /metrics to itself.</Note>
			) : at.length < 2 ? (
				<p className="trends-soon">The first points come within a quarter of a minute.</p>
			) : (
				<div className="trends">
					<figure>
						<figcaption>
							<span>Requests a second</span>
							<strong>{now(requests, rate)}</strong>
						</figcaption>
						<Chart label="Requests a second" at={at} values={requests} tone="--s3m-here" show={rate} />
					</figure>
					<figure>
						<figcaption>
							<span>Errors a second</span>
							<strong>{now(errors, rate)}</strong>
						</figcaption>
						<Chart label="Errors a second" at={at} values={errors} tone="--s3m-bad" show={rate} />
					</figure>
					<figure>
						<figcaption>
							<span>Oldest lag</span>
							<strong>{now(lag, span)}</strong>
						</figcaption>
						<Chart label="Oldest lag" at={at} values={lag} tone="--s3m-warn" show={span} />
					</figure>
				</div>
			)}
		</Panel>
	);
}
