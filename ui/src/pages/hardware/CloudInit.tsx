import { useGuestOfPage } from '../guest/GuestPage';
import { Editor } from './Editor';

export default function CloudInit() {
  const guest = useGuestOfPage();
  return guest ? <Editor guest={guest} page="cloudinit" /> : null;
}
