import { Button, Group, SegmentedControl, TextInput } from "@mantine/core";
import { useDebouncedValue } from "@mantine/hooks";
import { useInfiniteQuery } from "@tanstack/react-query";
import { useState } from "react";
import { history_ as history } from "../api/gen/sdk.gen";
import { Icon } from "../parts/icons";
import { Page, Panel } from "../parts/page";
import { Blank, Oops, Waiting } from "../parts/states";
import { EventLine } from "./event";

const spans = [
	{ value: "1", label: "Hour" },
	{ value: "24", label: "Day" },
	{ value: "168", label: "Week" },
	{ value: "0", label: "All time" },
];

/** What was done, newest first: writes with what each backend answered, and the audit. */
export function History() {
	const [bucket, setBucket] = useState("");
	const [prefix, setPrefix] = useState("");
	const [hours, setHours] = useState("24");
	const [kind, setKind] = useState("all");
	const [filter] = useDebouncedValue({ bucket, prefix, hours }, 300);
	const past = useInfiniteQuery({
		queryKey: ["history", "page", filter],
		queryFn: async ({ pageParam }) =>
			(
				await history({
					query: {
						bucket: filter.bucket || undefined,
						prefix: filter.prefix || undefined,
						since:
							filter.hours === "0" ? undefined : new Date(Date.now() - Number(filter.hours) * 3_600_000).toISOString(),
						limit: 100,
						cursor: pageParam,
					},
				})
			).data,
		initialPageParam: undefined as string | undefined,
		getNextPageParam: (p) => p.cursor,
		refetchInterval: (q) => (q.state.data?.pages.length === 1 ? 5_000 : false),
	});
	const events = (past.data?.pages.flatMap((p) => p.events) ?? []).filter((e) =>
		kind === "writes" ? e.bucket !== "" : kind === "audit" ? e.bucket === "" || e.result === "refused" : true,
	);
	return (
		<Page title="History">
			<Panel title="What was done" note="Newest first, with what each backend answered" flush>
				<div className="filters">
					<SegmentedControl
						aria-label="Kind"
						value={kind}
						onChange={setKind}
						data={[
							{ value: "all", label: "All" },
							{ value: "writes", label: "Writes" },
							{ value: "audit", label: "Audit" },
						]}
					/>
					<SegmentedControl aria-label="Time" value={hours} onChange={setHours} data={spans} />
					<TextInput
						aria-label="Bucket"
						placeholder="Bucket"
						leftSection={<Icon name="folder" size={16} />}
						value={bucket}
						onChange={(e) => setBucket(e.currentTarget.value)}
					/>
					<TextInput
						aria-label="Keys that begin with"
						placeholder="Keys that begin with"
						leftSection={<Icon name="search" size={16} />}
						value={prefix}
						onChange={(e) => setPrefix(e.currentTarget.value)}
					/>
				</div>
				{past.isPending ? (
					<div className="panel-pad">
						<Waiting rows={6} />
					</div>
				) : past.isError && events.length === 0 ? (
					<Oops error={past.error} action={<Button onClick={() => past.refetch()}>Try again</Button>} />
				) : events.length === 0 ? (
					<Blank icon="history" title="Nothing was done">
						{past.hasNextPage
							? "Nothing of this kind among what is loaded."
							: "In that time, to that bucket and those keys."}
					</Blank>
				) : (
					<ul className="events" data-wide>
						{events.map((e) => (
							<EventLine key={`${e.time} ${e.id} ${e.op} ${e.key}`} event={e} where />
						))}
					</ul>
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
