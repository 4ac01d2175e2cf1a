import { useQuery } from '@tanstack/react-query';
import { useMemo } from 'react';
import { api } from '../../api/client';
import { hasOperation, useOperations } from '../../api/operations';
import { CPU_MODELS } from '../cpuModels/flags';

const CPUS = ['host', 'x86-64-v2-AES', 'x86-64-v3', 'x86-64-v4', 'kvm64', 'qemu64', 'max'];

/** Processor types to offer: usual ones, and those of the cluster's own that the user may see. */
export function useCpuTypes(isEnabled = true): string[] {
  const table = useOperations().data;
  const query = useQuery({
    queryKey: ['records', CPU_MODELS],
    queryFn: ({ signal }) => api.get<{ cputype: string }[]>(CPU_MODELS, {}, signal),
    enabled: isEnabled && hasOperation(table, 'GET', CPU_MODELS),
  });
  return useMemo(
    () => [...CPUS, ...(query.data ?? []).map(({ cputype }) => cputype)],
    [query.data],
  );
}
