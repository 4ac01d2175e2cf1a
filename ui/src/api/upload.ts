/** Uploads with progress, which `fetch` does not have. */

import { t } from '../texts';
import { ApiError, csrfToken } from './client';

/** Sends a file; `onProgress` gets the part that is sent. Returns the task that stores it. */
export function uploadFile(
  path: string,
  params: Record<string, string>,
  file: File,
  onProgress: (part: number) => void,
): Promise<string> {
  const body = new FormData();
  for (const [key, value] of Object.entries(params)) body.append(key, value);
  // The file comes last: the server reads the parameters first.
  body.append('filename', file, file.name);
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open('POST', `/api2/json${path}`);
    request.setRequestHeader('CSRFPreventionToken', csrfToken());
    request.responseType = 'json';
    request.upload.onprogress = ({ loaded, total }) => onProgress(loaded / Math.max(1, total));
    request.onerror = () => reject(new ApiError(0, t.states.noAnswer));
    request.onload = () => {
      const answer = request.response as { data?: string; message?: string } | null;
      if (request.status === 200 && answer?.data) resolve(answer.data);
      else reject(new ApiError(request.status, answer?.message ?? request.statusText));
    };
    request.send(body);
  });
}
