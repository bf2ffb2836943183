// What was dropped onto the page: files, and folders with all that is in them.

export type Dropped = { name: string; file: File };

/** The files of a drop, each named by its way below what was dropped. */
export async function dropped(data: DataTransfer): Promise<Dropped[]> {
	// Entries are gone once the event is over: all are taken first.
	const entries = Array.from(data.items, (i) => (i.kind === "file" ? i.webkitGetAsEntry() : null));
	const files = Array.from(data.files, (file) => ({ name: file.name, file }));
	if (entries.length === 0 || entries.every((e) => !e || e.isFile)) {
		return files;
	}
	return (await Promise.all(entries.map((e) => (e ? within(e, "") : [])))).flat();
}

async function within(entry: FileSystemEntry, path: string): Promise<Dropped[]> {
	if (entry.isFile) {
		const file = await new Promise<File>((resolve, reject) => (entry as FileSystemFileEntry).file(resolve, reject));
		return [{ name: path + entry.name, file }];
	}
	const reader = (entry as FileSystemDirectoryEntry).createReader();
	const all: FileSystemEntry[] = [];
	for (;;) {
		// It gives a hundred at a time, and none when there are no more.
		const some = await new Promise<FileSystemEntry[]>((resolve, reject) => reader.readEntries(resolve, reject));
		if (some.length === 0) {
			break;
		}
		all.push(...some);
	}
	return (await Promise.all(all.map((e) => within(e, `${path}${entry.name}/`)))).flat();
}
