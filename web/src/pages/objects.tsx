import { Button, Drawer, TextInput } from "@mantine/core";
import { useDebouncedValue } from "@mantine/hooks";
import { useInfiniteQuery } from "@tanstack/react-query";
import { getRouteApi, Link } from "@tanstack/react-router";
import { useVirtualizer } from "@tanstack/react-virtual";
import { type DragEvent, useEffect, useMemo, useRef, useState } from "react";
import { listObjects } from "../api/gen/sdk.gen";
import type { ObjectEntry } from "../api/gen/types.gen";
import { Tag } from "../parts/badge";
import { Icon } from "../parts/icons";
import { Page } from "../parts/page";
import { Blank, Note, Oops, Waiting } from "../parts/states";
import { useMe } from "../session/gate";
import { bytes, count, moment } from "../words/format";
import { folderOf, folders, nameIn, standing } from "../words/replicas";
import { ObjectDetail } from "./object";
import { Uploads, useUploads } from "./uploads";

type Row = { folder: string } | { object: ObjectEntry };

const page = 500; // entries asked for at once
const rowHeight = 46; // px, on every width

const route = getRouteApi("/objects/$bucket");

/** The objects of a bucket, folder by folder. */
export function Objects() {
	const { bucket } = route.useParams();
	const { prefix } = route.useSearch();
	return <Browser bucket={bucket} prefix={prefix} key={bucket} />;
}

function Browser({ bucket, prefix }: { bucket: string; prefix: string }) {
	const navigate = route.useNavigate();
	const may = useMe().scopes.includes("write");
	const uploads = useUploads(bucket);
	const [over, setOver] = useState(false);
	const [open, setOpen] = useState<ObjectEntry>();
	const picker = useRef<HTMLInputElement>(null);
	const folder = folderOf(prefix);

	const add = (files: FileList | null) =>
		files &&
		uploads.add(
			folder,
			Array.from(files, (file) => ({ name: file.name, file })),
		);
	const drag = {
		onDragOver: (e: DragEvent) => {
			if (may && e.dataTransfer.types.includes("Files")) {
				e.preventDefault();
				setOver(true);
			}
		},
		onDragLeave: (e: DragEvent) => {
			if (!e.currentTarget.contains(e.relatedTarget as Node | null)) {
				setOver(false);
			}
		},
		onDrop: (e: DragEvent) => {
			e.preventDefault();
			setOver(false);
			if (may) {
				add(e.dataTransfer.files);
			}
		},
	};

	return (
		<Page
			title={bucket}
			actions={
				may && (
					<>
						<input
							ref={picker}
							type="file"
							multiple
							hidden
							aria-label="Files to upload"
							onChange={(e) => {
								add(e.currentTarget.files);
								e.currentTarget.value = "";
							}}
						/>
						<Button leftSection={<Icon name="upload" size={16} />} onClick={() => picker.current?.click()}>
							Upload
						</Button>
					</>
				)
			}
		>
			<Uploads uploads={uploads} />
			<section className="panel browser" data-over={over || undefined} aria-label="Objects" {...drag}>
				<div className="browser-head">
					<nav aria-label="Folders" className="crumbs">
						<Link to="/objects">Buckets</Link>
						<Icon name="right" size={14} />
						<Link to="/objects/$bucket" params={{ bucket }} search={{ prefix: "" }}>
							{bucket}
						</Link>
						{folders(folder).map((f) => (
							<span key={f.prefix}>
								<Icon name="right" size={14} />
								<Link to="/objects/$bucket" params={{ bucket }} search={{ prefix: f.prefix }}>
									{f.name}
								</Link>
							</span>
						))}
					</nav>
					<Finder
						key={folder}
						text={prefix.slice(folder.length)}
						find={(text) => navigate({ search: { prefix: folder + text }, replace: true })}
					/>
				</div>
				<List bucket={bucket} prefix={prefix} may={may} open={setOpen} />
				{over && (
					<div className="drop" aria-hidden="true">
						<Icon name="upload" size={28} />
						Drop to write into {bucket}/{folder}
					</div>
				)}
			</section>
			<Drawer
				opened={open !== undefined}
				onClose={() => setOpen(undefined)}
				title={open && nameIn(folderOf(open.key), open.key)}
				position="right"
				size="lg"
				closeButtonProps={{ "aria-label": "Close" }}
			>
				{open && <ObjectDetail bucket={bucket} named={open} gone={() => setOpen(undefined)} />}
			</Drawer>
		</Page>
	);
}

/** Looks for names that begin so, in the folder. */
function Finder({ text, find }: { text: string; find: (text: string) => void }) {
	const [wanted, setWanted] = useState(text);
	const [settled] = useDebouncedValue(wanted, 250);
	const last = useRef(text);
	useEffect(() => {
		if (settled !== last.current) {
			last.current = settled;
			find(settled);
		}
	}, [settled, find]);
	return (
		<TextInput
			className="finder"
			aria-label="Names that begin with"
			placeholder="Names that begin with"
			leftSection={<Icon name="search" size={16} />}
			value={wanted}
			onChange={(e) => setWanted(e.currentTarget.value)}
		/>
	);
}

function List({
	bucket,
	prefix,
	may,
	open,
}: {
	bucket: string;
	prefix: string;
	may: boolean;
	open: (o: ObjectEntry) => void;
}) {
	const list = useInfiniteQuery({
		queryKey: ["objects", bucket, prefix],
		queryFn: async ({ pageParam }) =>
			(
				await listObjects({
					path: { bucket },
					query: { prefix: prefix || undefined, delimiter: "/", limit: page, cursor: pageParam },
				})
			).data,
		initialPageParam: undefined as string | undefined,
		getNextPageParam: (p) => p.cursor,
		// What lags changes by itself; of a long list only the start is looked at again.
		refetchInterval: (q) => {
			const pages = q.state.data?.pages ?? [];
			const waits = pages[0]?.objects.some((o) => Object.values(o.replicas).some((r) => r !== "current"));
			return pages.length === 1 ? (waits ? 3_000 : 20_000) : false;
		},
	});
	const rows = useMemo<Row[]>(
		() =>
			(list.data?.pages ?? []).flatMap((p) => [
				...p.prefixes.map((f) => ({ folder: f })),
				...p.objects.map((object) => ({ object })),
			]),
		[list.data],
	);
	const box = useRef<HTMLDivElement>(null);
	const virtual = useVirtualizer({
		count: rows.length,
		getScrollElement: () => box.current,
		estimateSize: () => rowHeight,
		overscan: 12,
	});
	const items = virtual.getVirtualItems();
	const last = items.at(-1)?.index ?? 0;
	const { hasNextPage, isFetchingNextPage, fetchNextPage } = list;
	useEffect(() => {
		if (hasNextPage && !isFetchingNextPage && last >= rows.length - page / 2) {
			void fetchNextPage();
		}
	}, [hasNextPage, isFetchingNextPage, fetchNextPage, last, rows.length]);

	if (list.isPending) {
		return (
			<div className="panel-pad">
				<Waiting rows={7} height={34} />
			</div>
		);
	}
	if (list.isError && rows.length === 0) {
		return <Oops error={list.error} action={<Button onClick={() => list.refetch()}>Try again</Button>} />;
	}
	if (rows.length === 0 && !hasNextPage) {
		return prefix === "" ? (
			<Blank icon="objects" title="This bucket is empty">
				{may ? "Drop files here, or write to it with any S3 client." : "Nothing was written to it yet."}
			</Blank>
		) : (
			<Blank icon="search" title="No name begins so">
				Names are compared letter by letter, capitals too.
			</Blank>
		);
	}
	return (
		<>
			{list.isError && (
				<div className="panel-pad">
					<Note tone="bad" title="This is not the present state.">
						{list.error.message}
					</Note>
				</div>
			)}
			{/* A <table> cannot hold rows that are not there: roles say what it is. */}
			<div
				role="table"
				aria-label={`Objects in ${bucket}/${prefix}`}
				aria-rowcount={hasNextPage ? -1 : rows.length + 1}
			>
				<div role="row" className="grid-row grid-head">
					<span role="columnheader">Name</span>
					<span role="columnheader" className="num">
						Size
					</span>
					<span role="columnheader">Changed</span>
					<span role="columnheader">Replicas</span>
				</div>
				{/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable by keyboard */}
				<div ref={box} className="grid-body" role="rowgroup" tabIndex={0} style={{ maxHeight: virtual.getTotalSize() }}>
					<div role="presentation" className="grid-space" style={{ height: virtual.getTotalSize() }}>
						{items.map((i) => {
							const row = rows[i.index];
							return (
								row && (
									<div
										key={i.key}
										role="row"
										aria-rowindex={i.index + 2}
										className="grid-row"
										style={{ transform: `translateY(${i.start}px)`, height: rowHeight }}
									>
										{"folder" in row ? (
											<FolderRow bucket={bucket} folder={row.folder} prefix={prefix} />
										) : (
											<ObjectRow object={row.object} prefix={prefix} open={open} />
										)}
									</div>
								)
							);
						})}
					</div>
				</div>
			</div>
			<p className="browser-foot" aria-live="polite">
				{isFetchingNextPage
					? "Loading more…"
					: `${count(rows.length)}${hasNextPage ? " so far, more as you scroll" : rows.length === 1 ? " entry" : " entries"}`}
			</p>
		</>
	);
}

function FolderRow({ bucket, folder, prefix }: { bucket: string; folder: string; prefix: string }) {
	return (
		<span role="cell" className="grid-name">
			<Link to="/objects/$bucket" params={{ bucket }} search={{ prefix: folder }} className="name-link">
				<Icon name="folder" />
				<span className="ellipsis">{nameIn(folderOf(prefix), folder)}</span>
			</Link>
		</span>
	);
}

function ObjectRow({
	object: o,
	prefix,
	open,
}: {
	object: ObjectEntry;
	prefix: string;
	open: (o: ObjectEntry) => void;
}) {
	return (
		<>
			<span role="cell" className="grid-name">
				<button type="button" className="name-link" title={o.key} onClick={() => open(o)}>
					<Icon name="file" />
					<span className="ellipsis">{nameIn(folderOf(prefix), o.key)}</span>
				</button>
			</span>
			<span role="cell" className="num">
				{bytes(o.size)}
			</span>
			<span role="cell" className="grid-when">
				{moment(o.last_modified)}
			</span>
			<span role="cell" className="grid-replicas">
				{standing(o.replicas).map((s) => (
					<Tag key={s.text} tone={s.tone}>
						{s.text}
					</Tag>
				))}
			</span>
		</>
	);
}
