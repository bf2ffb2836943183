import { Button, Drawer, TextInput } from "@mantine/core";
import { useDebouncedValue, useMediaQuery } from "@mantine/hooks";
import { useQueryClient } from "@tanstack/react-query";
import { getRouteApi, Link } from "@tanstack/react-router";
import { type DragEvent, useEffect, useRef, useState } from "react";
import type { ObjectEntry } from "../api/gen/types.gen";
import { type Row, useListing } from "../api/listing";
import { uploads } from "../api/uploads";
import { Tag } from "../parts/badge";
import { dropped } from "../parts/dropped";
import { Icon } from "../parts/icons";
import { Page } from "../parts/page";
import { Squares } from "../parts/squares";
import { Blank, Note, Oops, Waiting } from "../parts/states";
import { useMe } from "../session/gate";
import { bytes, count, day, moment } from "../words/format";
import { goesOn, rowsOf } from "../words/pages";
import { folderOf, folders, nameIn, standing } from "../words/replicas";
import { windowOf } from "../words/window";
import { OneBucket } from "./bucket";
import { type Choice, Chosen, exact, turned } from "./chosen";
import { ObjectDetail } from "./object";
import { Uploads } from "./uploads";

const rowHeight = 46; // px
const phoneHeight = 58; // px: two lines

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
	const queries = useQueryClient();
	const [over, setOver] = useState(false);
	const [open, setOpen] = useState<ObjectEntry>();
	const [about, setAbout] = useState(false);
	const [choice, choose] = useState<Choice>(new Map());
	const picker = useRef<HTMLInputElement>(null);
	const folder = folderOf(prefix);

	useEffect(() => {
		uploads.written = (into) => void queries.invalidateQueries({ queryKey: ["objects", into] });
	}, [queries]);
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
				void dropped(e.dataTransfer).then((files) => uploads.add(bucket, folder, files));
			}
		},
	};

	return (
		<Page
			title={bucket}
			actions={
				<>
					<Button variant="default" aria-label="About this bucket" onClick={() => setAbout(true)}>
						About
					</Button>
					{may && (
						<>
							<input
								ref={picker}
								type="file"
								multiple
								hidden
								aria-label="Files to upload"
								onChange={(e) => {
									const files = Array.from(e.currentTarget.files ?? [], (file) => ({ name: file.name, file }));
									uploads.add(bucket, folder, files);
									e.currentTarget.value = "";
								}}
							/>
							<Button leftSection={<Icon name="upload" size={16} />} onClick={() => picker.current?.click()}>
								Upload
							</Button>
						</>
					)}
				</>
			}
		>
			{about && <OneBucket name={bucket} close={() => setAbout(false)} />}
			<Uploads bucket={bucket} />
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
				<Chosen bucket={bucket} choice={choice} choose={choose} />
				<List
					bucket={bucket}
					prefix={prefix}
					may={may}
					open={setOpen}
					choice={choice}
					turn={(o) => choose((c) => turned(c, o))}
					key={prefix}
				/>
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
	choice,
	turn,
}: {
	bucket: string;
	prefix: string;
	may: boolean;
	open: (o: ObjectEntry) => void;
	choice: Choice;
	turn: (o: ObjectEntry) => void;
}) {
	const box = useRef<HTMLDivElement>(null);
	const phone = useMediaQuery("(max-width: 48em)", undefined, { getInitialValueInEffect: false }) ?? false;
	const height = phone ? phoneHeight : rowHeight;
	const [rows, setRows] = useState(0);
	const [seen, look] = useState({ top: 0, view: 720 });
	const w = windowOf(rows, height, seen.top, seen.view);
	const list = useListing(bucket, prefix, w.first, w.last);
	const known = rowsOf(list.pages);
	const more = goesOn(list.pages);
	useEffect(() => setRows(known), [known]);
	useEffect(() => {
		const b = box.current;
		if (b && known > 0) {
			const measure = () => look({ top: b.scrollTop, view: b.clientHeight });
			measure();
			const resized = new ResizeObserver(measure);
			resized.observe(b);
			return () => resized.disconnect();
		}
	}, [known]);

	if (list.pending && known === 0) {
		return (
			<div className="panel-pad">
				<Waiting rows={7} height={34} />
			</div>
		);
	}
	if (list.error && known === 0) {
		return <Oops error={list.error} action={<Button onClick={list.again}>Try again</Button>} />;
	}
	if (known === 0 && !more) {
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
			{list.error && (
				<div className="panel-pad">
					<Note tone="bad" title="This is not the present state.">
						{list.error.message}
					</Note>
				</div>
			)}
			{/* A <table> cannot hold rows that are not there: roles say what it is. */}
			<div
				role="table"
				data-choose={may || undefined}
				aria-label={`Objects in ${bucket}/${prefix}`}
				aria-rowcount={more ? -1 : known + 1}
			>
				<div role="row" className="grid-row grid-head">
					{may && <span role="columnheader" aria-label="Chosen" />}
					<span role="columnheader">Name</span>
					<span role="columnheader" className="num">
						Size
					</span>
					<span role="columnheader" className="grid-when">
						Changed
					</span>
					<span role="columnheader">Replicas</span>
				</div>
				<div
					ref={box}
					className="grid-body"
					role="rowgroup"
					// biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable by keyboard
					tabIndex={0}
					style={{ maxHeight: w.height }}
					onScroll={(e) => look({ top: e.currentTarget.scrollTop, view: e.currentTarget.clientHeight })}
				>
					<div role="presentation" className="grid-space" style={{ height: w.height }}>
						{Array.from({ length: w.last - w.first }, (_, i) => {
							const n = w.first + i;
							const row = list.rowAt(n);
							return (
								<div
									key={keyOf(row, n)}
									role="row"
									aria-rowindex={n + 2}
									className="grid-row"
									style={{ transform: `translateY(${w.top(n)}px)`, height }}
								>
									{may && (
										<span role="cell" className="grid-choose">
											{row && "object" in row && (
												<input
													type="checkbox"
													aria-label={`Choose ${row.object.key}`}
													checked={choice.has(exact(row.object))}
													onChange={() => turn(row.object)}
												/>
											)}
										</span>
									)}
									{!row ? (
										<span role="cell" className="grid-soon" aria-label="Loading" />
									) : "folder" in row ? (
										<FolderRow bucket={bucket} folder={row.folder} prefix={prefix} />
									) : (
										<ObjectRow object={row.object} prefix={prefix} open={open} />
									)}
								</div>
							);
						})}
					</div>
				</div>
			</div>
			<p className="browser-foot" aria-live="polite">
				{count(known)}
				{more ? " so far, more as you scroll" : known === 1 ? " entry" : " entries"}
			</p>
		</>
	);
}

/** A row is the same one wherever it stands: what is aimed at, or has the focus, is not another one when some come or go above it. */
const keyOf = (row: Row | undefined, n: number) =>
	!row ? n : "folder" in row ? `folder ${row.folder}` : `object ${exact(row.object)}`;

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
				<span className="grid-small">
					{bytes(o.size)} · {day(o.last_modified)}
				</span>
			</span>
			<span role="cell" className="num">
				{bytes(o.size)}
			</span>
			<span role="cell" className="grid-when">
				{moment(o.last_modified)}
			</span>
			<span role="cell" className="grid-replicas">
				<Squares replicas={o.replicas} />
				{standing(o.replicas).map((s) => (
					<Tag key={s.text} tone={s.tone}>
						{s.text}
					</Tag>
				))}
			</span>
		</>
	);
}
