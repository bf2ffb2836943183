import { Table } from "@mantine/core";
import type { ReactNode } from "react";

export type Column = { name: string; num?: boolean; hidden?: boolean };

/** A table that scrolls by itself where it is too wide, and becomes a list of cards on a phone. */
export function Rows({ label, columns, children }: { label: string; columns: Column[]; children: ReactNode }) {
	return (
		// biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable by keyboard
		<section className="rows" aria-label={label} tabIndex={0}>
			<Table verticalSpacing="sm">
				<Table.Thead>
					<Table.Tr>
						{columns.map((c) => (
							<Table.Th key={c.name} className={c.num ? "num" : undefined} aria-label={c.hidden ? c.name : undefined}>
								{c.hidden ? null : c.name}
							</Table.Th>
						))}
					</Table.Tr>
				</Table.Thead>
				<Table.Tbody>{children}</Table.Tbody>
			</Table>
		</section>
	);
}

/** One cell; label is its column's name, which a card shows before it. */
export function Cell({
	label,
	num,
	title,
	head,
	children,
}: {
	label: string;
	num?: boolean;
	title?: string;
	head?: boolean; // the first of its row, which names it
	children: ReactNode;
}) {
	return (
		<Table.Td className={num ? "num" : undefined} data-label={label} data-head={head || undefined} title={title}>
			{children}
		</Table.Td>
	);
}
