import { useEffect, useRef } from "react";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";

const height = 132; // px

/** Lines over time, in the colours of the page. at is in ms; show says what a value is told as. */
export function Chart({
	label,
	at,
	values,
	tone,
	show,
}: {
	label: string;
	at: number[];
	values: number[];
	tone: string; // the CSS variable of its colour
	show: (v: number) => string;
}) {
	const ref = useRef<HTMLDivElement>(null);
	const plot = useRef<uPlot>(undefined);
	const latest = useRef(show);
	latest.current = show;

	useEffect(() => {
		const root = ref.current;
		if (!root) {
			return;
		}
		// A canvas knows no CSS variables: they are read as it is drawn, so that a
		// change of the colour scheme shows with the next point.
		const css = (name: string) => getComputedStyle(root).getPropertyValue(name).trim();
		const axis = {
			stroke: () => css("--mantine-color-dimmed"),
			grid: { stroke: () => css("--s3m-line"), width: 1 },
			ticks: { show: false },
			font: "12px Inter Variable, sans-serif",
		};
		plot.current = new uPlot(
			{
				width: root.clientWidth,
				height,
				padding: [10, 24, 0, 0],
				legend: { show: false },
				cursor: { show: false },
				scales: { y: { range: (_u, _min, max) => [0, max > 0 ? max * 1.15 : 1] } },
				axes: [
					{ ...axis, grid: { show: false }, size: 26, values: (_u, ts) => ts.map(clock) },
					{ ...axis, size: 54, values: (_u, vs) => vs.map((v) => latest.current(v)), space: 36 },
				],
				series: [
					{},
					{
						stroke: () => css(tone),
						fill: () => `color-mix(in srgb, ${css(tone)} 12%, transparent)`,
						width: 1.8,
						points: { show: false },
					},
				],
			},
			[[], []],
			root,
		);
		const resized = new ResizeObserver(() => {
			if (root.clientWidth > 0) {
				plot.current?.setSize({ width: root.clientWidth, height });
			}
		});
		resized.observe(root);
		return () => {
			resized.disconnect();
			plot.current?.destroy();
		};
	}, [tone]);

	useEffect(() => {
		plot.current?.setData([at.map((t) => t / 1000), values]);
	}, [at, values]);

	const last = values.at(-1);
	return (
		<div
			ref={ref}
			className="chart"
			role="img"
			aria-label={`${label}: ${last === undefined ? "no value yet" : `now ${show(last)}`}`}
		/>
	);
}

const clock = (seconds: number) =>
	new Date(seconds * 1000).toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });
