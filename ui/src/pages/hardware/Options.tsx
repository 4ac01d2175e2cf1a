import { useGuestOfPage } from '../guest/GuestPage';
import { Editor } from './Editor';

export default function Options() {
  const guest = useGuestOfPage();
  return guest ? <Editor guest={guest} page="options" /> : null;
}
