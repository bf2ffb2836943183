// The documents that several pages look at.
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useEffect, useState } from "react";
import { type Course, follow } from "../words/healing";
import { isOver } from "../words/joblist";
import { jobs, replication, status, version } from "./gen/sdk.gen";
import { every } from "./live";

// Ages grow while nothing else changes, of which the stream says nothing.
export const useStatus = () =>
	useQuery({
		queryKey: ["status"],
		queryFn: async () => (await status()).data,
		refetchInterval: (q) => every(q.state.data?.converged ? 20_000 : 5_000, 2_000)(),
	});

export const useReplication = () =>
	useQuery({
		queryKey: ["replication"],
		queryFn: async () => (await replication()).data,
		refetchInterval: (q) => every(q.state.data?.converged ? 20_000 : 2_000, 2_000)(),
	});

/** Long work, the newest first; without what it found. */
export const useJobs = () =>
	useQuery({
		queryKey: ["jobs"],
		queryFn: async () => (await jobs({ query: { limit: 200 } })).data.jobs,
		refetchInterval: (q) => (q.state.data?.every(isOver) ? every(30_000, 5_000)() : every(5_000, 1_000)()),
	});

/** What the server is; it does not change while it runs. */
export const useAbout = () =>
	useQuery({
		queryKey: ["version"],
		queryFn: async () => (await version()).data,
		staleTime: Number.POSITIVE_INFINITY,
	});

/** Asks anew for what an action has changed. */
export function useRefresh() {
	const queries = useQueryClient();
	return async () => {
		await Promise.all(
			["replication", "status", "buckets"].map((key) => queries.invalidateQueries({ queryKey: [key] })),
		);
	};
}

const courses = new Map<string, Course>(); // outlives the pages that look

/** How the backlog of each backend shrinks, since somebody looks. */
export function useCourses(): ReadonlyMap<string, Course> {
	const node = useStatus();
	const [, draw] = useState(0);
	const { data, dataUpdatedAt } = node;
	useEffect(() => {
		for (const b of data?.backends ?? []) {
			const next = follow(courses.get(b.name), { at: dataUpdatedAt, keys: b.lagging_keys });
			if (next) {
				courses.set(b.name, next);
			} else {
				courses.delete(b.name);
			}
		}
		draw((n) => n + 1);
	}, [data, dataUpdatedAt]);
	return courses;
}
