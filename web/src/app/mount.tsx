import { MantineProvider } from "@mantine/core";
import { QueryCache, QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { RouterProvider } from "@tanstack/react-router";
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { ProblemError } from "../api/request";
import { cssVariables, theme } from "../ui/theme";
import { makeRouter } from "./router";

/** Server answers below 500 are final; asking again would not change them. */
function worthRetrying(failures: number, error: Error): boolean {
  return failures < 2 && !(error instanceof ProblemError && error.status < 500 && error.status !== 429);
}

/** Put the application onto the page. */
export function mount(): void {
  const host = document.getElementById("root");
  if (!host) throw new Error("index.html lacks #root");
  const client = new QueryClient({
    defaultOptions: { queries: { retry: worthRetrying, staleTime: 2000, refetchOnWindowFocus: true } },
    queryCache: new QueryCache({
      onError: (error) => {
        const elsewhere = router.state.location.pathname !== "/login";
        if (elsewhere && error instanceof ProblemError && error.status === 401) {
          client.removeQueries({ queryKey: ["session"] });
          void router.navigate({ to: "/login", search: { next: router.state.location.href } });
        }
      },
    }),
  });
  const router = makeRouter(client);
  createRoot(host).render(
    <StrictMode>
      <MantineProvider theme={theme} cssVariablesResolver={cssVariables} defaultColorScheme="auto">
        <QueryClientProvider client={client}>
          <RouterProvider router={router} />
        </QueryClientProvider>
      </MantineProvider>
    </StrictMode>,
  );
}
