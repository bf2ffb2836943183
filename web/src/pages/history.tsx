import { Button, Group, NativeSelect, SegmentedControl, TextInput } from "@mantine/core";
import { useDebouncedValue } from "@mantine/hooks";
import { useInfiniteQuery } from "@tanstack/react-query";
import { useEffect, useState } from "react";
import { history_ as history } from "../api/gen/sdk.gen";
import { every } from "../api/live";
import { Icon } from "../parts/icons";
import { Page, Panel } from "../parts/page";
import { Blank, Oops, Waiting } from "../parts/states";
import { day } from "../words/format";
import { byDay } from "../words/history";
import { EventLine } from "./event";

const spans = [
	{ value: "1", label: "Hour" },
	{ value: "24", label: "Day" },
	{ value: "168", label: "Week" },
	{ value: "0", label: "All time" },
];

const kinds = [
	{ value: "all", label: "All" },
	{ value: "writes", label: "Writes" },
	{ value: "audit", label: "Audit" },
];

const results = [
	{ value: "", label: "Any outcome" },
	{ value: "acked", label: "acked" },
	{ value: "healed", label: "healed" },
	{ value: "done", label: "done" },
	{ value: "refused", label: "refused" },
	{ value: "failed", label: "failed" },
	{ value: "unknown", label: "unknown" },
];

const nothing = { bucket: "", prefix: "", actor: "", result: "", hours: "24" };

/** What was done, newest first: writes with what each backend answered, and the audit. */
export function History() {
	const [draft, setDraft] = useState(nothing);
	const [kind, setKind] = useState("all");
	const [filter] = useDebouncedValue(draft, 300);
	const set = (change: Partial<typeof nothing>) => setDraft({ ...draft, ...change });
	const past = useInfiniteQuery({
		queryKey: ["history", "page", filter],
		queryFn: async ({ pageParam }) => {
			const { hours, ...only } = filter;
			const since = hours === "0" ? undefined : new Date(Date.now() - Number(hours) * 3_600_000).toISOString();
			const query = Object.fromEntries(Object.entries(only).filter(([, v]) => v !== ""));
			return (await history({ query: { ...query, since, limit: 100, cursor: pageParam } })).data;
		},
		initialPageParam: undefined as string | undefined,
		getNextPageParam: (p) => p.cursor,
		refetchInterval: (q) => (q.state.data?.pages.length === 1 ? every(15_000, 5_000)() : false),
	});
	const events = (past.data?.pages.flatMap((p) => p.events) ?? []).filter((e) =>
		kind === "writes" ? e.bucket !== "" : kind === "audit" ? e.bucket === "" || e.result === "refused" : true,
	);
	// A page may be short, or hold little of the kind: a few more are looked through.
	const pages = past.data?.pages.length ?? 0;
	const { hasNextPage, isFetchingNextPage, fetchNextPage } = past;
	useEffect(() => {
		if (hasNextPage && !isFetchingNextPage && events.length < 25 && pages < 10) {
			void fetchNextPage();
		}
	}, [hasNextPage, isFetchingNextPage, fetchNextPage, events.length, pages]);
	return (
		<Page title="History">
			<Panel title="What was done" note="Newest first, with what each backend answered" flush>
				<div className="filters">
					<div>
						<SegmentedControl aria-label="Kind" value={kind} onChange={setKind} data={kinds} />
						<SegmentedControl aria-label="Time" value={draft.hours} onChange={(hours) => set({ hours })} data={spans} />
					</div>
					<div>
						<NativeSelect
							aria-label="Outcome"
							data={results}
							value={draft.result}
							onChange={(e) => set({ result: e.currentTarget.value })}
						/>
						<TextInput
							aria-label="Who"
							placeholder="Who"
							leftSection={<Icon name="account" size={16} />}
							value={draft.actor}
							onChange={(e) => set({ actor: e.currentTarget.value.trim() })}
						/>
						<TextInput
							aria-label="Bucket"
							placeholder="Bucket"
							leftSection={<Icon name="folder" size={16} />}
							value={draft.bucket}
							onChange={(e) => set({ bucket: e.currentTarget.value.trim() })}
						/>
						<TextInput
							aria-label="Keys that begin with"
							placeholder="Keys that begin with"
							leftSection={<Icon name="search" size={16} />}
							value={draft.prefix}
							onChange={(e) => set({ prefix: e.currentTarget.value })}
						/>
					</div>
				</div>
				{past.isPending ? (
					<div className="panel-pad">
						<Waiting rows={6} />
					</div>
				) : past.isError && events.length === 0 ? (
					<Oops error={past.error} action={<Button onClick={() => past.refetch()}>Try again</Button>} />
				) : events.length === 0 ? (
					<Blank icon="history" title="Nothing was done">
						{past.hasNextPage ? "Nothing of this kind among what is loaded." : "Nothing that fits, in that time."}
					</Blank>
				) : (
					byDay(events, (iso) => day(iso)).map(([name, of]) => (
						<section key={name} aria-label={name}>
							<h3 className="day">{name}</h3>
							<ul className="events" data-wide>
								{of.map((e) => (
									<EventLine key={`${e.time} ${e.id} ${e.op} ${e.key}`} event={e} where />
								))}
							</ul>
						</section>
					))
				)}
				{past.hasNextPage && (
					<Group justify="center" p="md">
						<Button variant="default" loading={past.isFetchingNextPage} onClick={() => past.fetchNextPage()}>
							Older
						</Button>
					</Group>
				)}
			</Panel>
		</Page>
	);
}
