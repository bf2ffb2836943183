import { ActionIcon, CopyButton, Group, Text } from "@mantine/core";
import { Icon } from "./icons";

/** A value that is there to be copied; a line of it is enough to see which. */
export function Copied({ label, value, line }: { label: string; value: string; line?: boolean }) {
	return (
		<div>
			<Text size="xs" c="dimmed" mb={4}>
				{label}
			</Text>
			<Group gap="xs" wrap="nowrap" align="flex-start">
				<code className="secret-value" data-line={line || undefined}>
					{value}
				</code>
				<CopyButton value={value}>
					{({ copied, copy }) => (
						<ActionIcon
							variant="default"
							size="lg"
							onClick={copy}
							title={copied ? "Copied" : "Copy"}
							aria-label={copied ? "Copied" : `Copy the ${label.toLowerCase()}`}
						>
							<Icon name={copied ? "good" : "copy"} size={16} />
						</ActionIcon>
					)}
				</CopyButton>
			</Group>
		</div>
	);
}
