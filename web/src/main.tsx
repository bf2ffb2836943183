import "./app/styles.css";
import { MantineProvider } from "@mantine/core";
import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { RouterProvider } from "@tanstack/react-router";
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { router } from "./app/router";
import { theme, variables } from "./app/theme";
import { Gate } from "./session/gate";
import { Refusal } from "./session/session";

// The page's own styles bear the nonce that the server gave this page.
const nonce = document.querySelector<HTMLMetaElement>('meta[property="csp-nonce"]')?.nonce ?? "";
Object.assign(globalThis, { __webpack_nonce__: nonce }); // where react-remove-scroll looks for it

const queries = new QueryClient({
	defaultOptions: {
		queries: {
			// What was refused stays refused; what got no answer is asked for again.
			retry: (count, error) => count < 2 && !(error instanceof Refusal && error.status > 0 && error.status < 500),
			staleTime: 1000,
		},
	},
});

const root = document.getElementById("root");
if (root) {
	createRoot(root).render(
		<StrictMode>
			<MantineProvider
				theme={theme}
				cssVariablesResolver={variables}
				defaultColorScheme="auto"
				getStyleNonce={() => nonce}
			>
				<QueryClientProvider client={queries}>
					<Gate>
						<RouterProvider router={router} />
					</Gate>
				</QueryClientProvider>
			</MantineProvider>
		</StrictMode>,
	);
}
