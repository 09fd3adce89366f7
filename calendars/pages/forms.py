"""What people type to connect a calendar."""

from typing import Any, ClassVar

from django import forms
from django.utils.translation import gettext_lazy as _

from calendars.models import ProviderName

_LONGEST_ADDRESS = 2000
_PATTERN = _("Four groups of four letters, such as abcd-efgh-ijkl-mnop.")
_EMAIL = {"autocomplete": "email", "inputmode": "email"}
_ADDRESS = {"inputmode": "url", "autocomplete": "off", "spellcheck": "false"}


class ConnectForm(forms.Form):
    """One provider's. `data_of` says what of it is `provider_data`; address_field: where its address is typed."""

    address_field: ClassVar[str] = ""
    use_required_attribute = True

    email = forms.EmailField(
        label=_("Your e-mail address there"),
        max_length=254,
        widget=forms.EmailInput(attrs=_EMAIL),
    )

    def provider_data(self) -> dict[str, Any] | None:
        return None


class OAuthForm(ConnectForm):
    email = forms.EmailField(
        label=_("E-mail address of the account"),
        max_length=254,
        help_text=_("So that the right one is connected, if you have several."),
        widget=forms.EmailInput(attrs=_EMAIL),
    )


def _password(label: Any, help_text: Any = "") -> forms.CharField:
    return forms.CharField(
        label=label,
        help_text=help_text,
        strip=False,
        max_length=1024,
        widget=forms.PasswordInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
    )


def _address() -> forms.CharField:
    return forms.CharField(
        label=_("Address of the calendar"),
        max_length=_LONGEST_ADDRESS,
        help_text=_("It begins with https:// or webcal:// and is kept secret here."),
        widget=forms.TextInput(attrs=_ADDRESS),
    )


class AppleForm(ConnectForm):
    email = forms.EmailField(
        label=_("E-mail address of your Apple account"),
        max_length=254,
        widget=forms.EmailInput(attrs=_EMAIL),
    )
    password = _password(_("App-specific password"), _PATTERN)

    def provider_data(self) -> dict[str, Any]:
        return {"password": self.cleaned_data["password"].strip()}


class CalDAVForm(ConnectForm):
    address_field = "server_url"
    field_order = ["server_url", "username", "password", "email"]

    server_url = forms.CharField(
        label=_("Server address"),
        max_length=510,
        help_text=_("Your provider calls it CalDAV address, for example https://cloud.example.com"),
        widget=forms.TextInput(attrs=_ADDRESS),
    )
    username = forms.CharField(
        label=_("User name"),
        max_length=255,
        widget=forms.TextInput(attrs={"autocomplete": "username", "autocapitalize": "none", "spellcheck": "false"}),
    )
    password = _password(_("Password"), _("If you sign in there with a second step: an app password."))

    def provider_data(self) -> dict[str, Any]:
        address = self.cleaned_data["server_url"]
        return {
            # People copy addresses without the part that they never see.
            "server_url": address if "://" in address else f"https://{address}",
            "username": self.cleaned_data["username"],
            "password": self.cleaned_data["password"],
        }


class IcsForm(ConnectForm):
    address_field = "url"
    field_order = ["url", "email"]

    url = _address()

    def provider_data(self) -> dict[str, Any]:
        return {"url": self.cleaned_data["url"]}


class NewPasswordForm(forms.Form):
    """For an account that has a password: only that is asked for again."""

    address_field: ClassVar[str] = ""

    password = _password(_("Password"), _("If you sign in there with a second step: an app password."))

    def provider_data(self) -> dict[str, Any]:
        return {"password": self.cleaned_data["password"]}


class NewApplePasswordForm(NewPasswordForm):
    password = _password(_("App-specific password"), _PATTERN)

    def provider_data(self) -> dict[str, Any]:
        return {"password": self.cleaned_data["password"].strip()}


class NewAddressForm(forms.Form):
    """For an ICS address that moved."""

    address_field: ClassVar[str] = "url"

    url = _address()

    def provider_data(self) -> dict[str, Any]:
        return {"url": self.cleaned_data["url"]}


FORMS: dict[str, type[ConnectForm]] = {
    ProviderName.GOOGLE: OAuthForm,
    ProviderName.OUTLOOK: OAuthForm,
    ProviderName.APPLE: AppleForm,
    ProviderName.CALDAV: CalDAVForm,
    ProviderName.ICS: IcsForm,
}
# Google and Outlook ask on pages of their own.
FORMS_AGAIN: dict[str, type[NewPasswordForm | NewAddressForm]] = {
    ProviderName.APPLE: NewApplePasswordForm,
    ProviderName.CALDAV: NewPasswordForm,
    ProviderName.ICS: NewAddressForm,
}
