import { defineConfig } from "@hey-api/openapi-ts";

// The client of the admin API, from the description that the server is made from.
// Generated anew before each build and check; not kept in git.
export default defineConfig({
	input: "../internal/admin/api/openapi.yaml",
	output: { path: "src/api/gen", clean: true },
	plugins: ["@hey-api/typescript", "@hey-api/sdk", { name: "@hey-api/client-fetch", throwOnError: true }],
});
