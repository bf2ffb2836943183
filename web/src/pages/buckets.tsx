import { Button, Group, Table } from "@mantine/core";
import { useDisclosure } from "@mantine/hooks";
import { useInfiniteQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { listBuckets } from "../api/gen/sdk.gen";
import { useReplication } from "../api/queries";
import { Tag } from "../parts/badge";
import { Icon } from "../parts/icons";
import { Page, Panel } from "../parts/page";
import { Cell, Rows } from "../parts/rows";
import { Blank, Oops, Waiting } from "../parts/states";
import { useMe } from "../session/gate";
import { day } from "../words/format";
import { NewBucket } from "./bucket-form";

const columns = [{ name: "Bucket" }, { name: "Made" }];
const adminColumns = [{ name: "Bucket" }, { name: "Replication" }, { name: "Made" }];

/** The buckets that one may know of. */
export function Buckets() {
	const me = useMe();
	const [opened, { open, close }] = useDisclosure(false);
	const buckets = useInfiniteQuery({
		queryKey: ["buckets"],
		queryFn: async ({ pageParam }) => (await listBuckets({ query: { limit: 500, cursor: pageParam } })).data,
		initialPageParam: undefined as string | undefined,
		getNextPageParam: (page) => page.cursor,
	});
	const all = buckets.data?.pages.flatMap((p) => p.buckets) ?? [];
	const may = me.scopes.includes("write");
	return (
		<Page
			title="Objects"
			actions={
				may && (
					<Button leftSection={<Icon name="plus" size={16} />} onClick={open}>
						New bucket
					</Button>
				)
			}
		>
			<Panel title="Buckets" flush>
				{buckets.isPending ? (
					<div className="panel-pad">
						<Waiting rows={3} />
					</div>
				) : buckets.isError ? (
					<Oops error={buckets.error} action={<Button onClick={() => buckets.refetch()}>Try again</Button>} />
				) : all.length === 0 ? (
					<Blank icon="folder" title="No buckets yet">
						{may ? "Make one here or with any S3 client." : "There is none that you may look into."}
					</Blank>
				) : (
					<Rows label="Buckets" columns={me.role === "admin" ? adminColumns : columns}>
						{all.map((b) => (
							<Table.Tr key={b.name}>
								<Cell label="Bucket" head>
									<Link to="/objects/$bucket" params={{ bucket: b.name }} search={{ prefix: "" }} className="name-link">
										<Icon name="folder" />
										{b.name}
									</Link>
								</Cell>
								{me.role === "admin" && (
									<Cell label="Replication">
										<BucketMode bucket={b.name} />
									</Cell>
								)}
								<Cell label="Made">{day(b.created)}</Cell>
							</Table.Tr>
						))}
					</Rows>
				)}
				{buckets.hasNextPage && (
					<Group justify="center" p="md">
						<Button variant="default" loading={buckets.isFetchingNextPage} onClick={() => buckets.fetchNextPage()}>
							More
						</Button>
					</Group>
				)}
			</Panel>
			{opened && <NewBucket close={close} />}
		</Page>
	);
}

/** The mode in force for a bucket, in a word. */
function BucketMode({ bucket }: { bucket: string }) {
	const doc = useReplication();
	if (!doc.data) {
		return "–";
	}
	const { mode, primary } = doc.data.buckets.find((b) => b.bucket === bucket) ?? doc.data;
	return mode === "active" ? <Tag tone="good">active</Tag> : <Tag tone="warn">{`on ${primary} alone`}</Tag>;
}
