import './styles/index.css';
import { MantineProvider } from '@mantine/core';
import { QueryClient, QueryClientProvider } from '@tanstack/react-query';
import { RouterProvider } from '@tanstack/react-router';
import { StrictMode } from 'react';
import { createRoot } from 'react-dom/client';
import { startSession } from './api/session';
import { closeWithPage } from './api/stream';
import { router } from './router';
import { useView } from './shell/view';
import { resolver, theme } from './theme';

const client = new QueryClient({
  defaultOptions: {
    queries: {
      staleTime: 2000,
      // What the server has answered stays so; a node that does not answer was asked again already.
      retry: false,
    },
  },
});

function App() {
  const { scheme } = useView();
  return (
    <MantineProvider theme={theme} cssVariablesResolver={resolver} forceColorScheme={scheme}>
      <QueryClientProvider client={client}>
        <RouterProvider router={router} />
      </QueryClientProvider>
    </MantineProvider>
  );
}

startSession();
closeWithPage();
const element = document.getElementById('root');
if (element) {
  createRoot(element).render(
    <StrictMode>
      <App />
    </StrictMode>,
  );
}
