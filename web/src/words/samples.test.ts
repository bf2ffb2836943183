import { expect, it } from "vitest";
import { latencies, parse, points, type Sample } from "./samples";

const text = `# HELP s3mirror_gateway_requests_total S3 requests answered
s3mirror_gateway_requests_total{class="2xx",operation="GetObject"} 10
s3mirror_gateway_requests_total{class="4xx",operation="GetObject"} 3
s3mirror_gateway_requests_total{class="5xx",operation="PutObject"} 2
s3mirror_gateway_requests_total{class="cut",operation="GetObject"} 1
s3mirror_gateway_requests_total{class="gone",operation="GetObject"} 4
s3mirror_backend_lag_oldest_seconds{backend="eu-1"} 0
s3mirror_backend_lag_oldest_seconds{backend="eu-2"} 12.5
s3mirror_backend_operation_seconds_bucket{backend="eu-1",operation="put",le="0.1"} 7
s3mirror_backend_operation_seconds_sum{backend="eu-1",operation="put"} 0.5
s3mirror_backend_operation_seconds_count{backend="eu-1",operation="put"} 10
s3mirror_backend_operation_seconds_sum{backend="eu-1",operation="get"} 1.5e-1
s3mirror_backend_operation_seconds_count{backend="eu-1",operation="get"} 5
s3mirror_process_start_time_seconds 1.7e9
other_metric 9
`;

it("reads what it wants of the metrics", () => {
	const s = parse(text, 5);
	expect(s).toMatchObject({ at: 5, process: "1.7e9", requests: 20, errors: 3, oldestLag: 12.5 });
	expect(s.backends["eu-1"]?.operations).toBe(15);
	expect(s.backends["eu-1"]?.seconds).toBeCloseTo(0.65);
});

const sample = (at: number, process: string, requests: number, errors = 0, operations = 0): Sample => ({
	at,
	process,
	requests,
	errors,
	oldestLag: 1,
	backends: { "eu-1": { seconds: operations / 100, operations } },
});

it("tells rates between samples of one process", () => {
	expect(points([])).toEqual([]);
	expect(points([sample(0, "a", 5)])).toEqual([]);
	const p = points([
		sample(0, "a", 0),
		sample(1000, "b", 1000),
		sample(5000, "a", 50, 5),
		sample(6000, "b", 1010),
		sample(10_000, "c", 0),
	]);
	expect(p).toEqual([
		{ at: 5000, requests: 10, errors: 1, oldestLag: 1 },
		{ at: 6000, requests: 2, errors: 0, oldestLag: 1 },
	]);
});

it("tells how long operations took", () => {
	expect(latencies([])).toEqual({});
	expect(latencies([sample(0, "a", 0, 0, 100), sample(1, "a", 0, 0, 100)])["eu-1"]).toBeUndefined();
	expect(
		latencies([sample(0, "x", 0, 0, 900), sample(0, "a", 0, 0, 100), sample(1, "a", 0, 0, 150)])["eu-1"],
	).toBeCloseTo(0.01);
});
